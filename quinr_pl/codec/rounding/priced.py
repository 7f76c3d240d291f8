"""Weights rounded together at a price of a bit, each making up for the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter

import torch
from torch import Tensor

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.quantized import STEPS_PER_OCTAVE, QuantizedNetwork, QuantizedTensor, nearest_code
from quinr_pl.codec.rounding.compensated import curvature_groups
from quinr_pl.codec.rounding.compensation import Compensation
from quinr_pl.codec.rounding.downhill import lowest
from quinr_pl.codec.rounding.flattening import flattened, unflattened
from quinr_pl.codec.rounding.levels import reduced_parameters, rounded_integers
from quinr_pl.codec.rounding.objectives import Objective, objective_of
from quinr_pl.codec.rounding.protocol import Progress
from quinr_pl.codec.rounding.row_steps import (
    codes_of_curvature,
    codes_of_file,
    relative_steps,
    steps_of_weights,
)
from quinr_pl.codec.sections.weights import weight_bits
from quinr_pl.network import Network
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec

_DAMPINGS = (1e-2, 1e-3, 1e-4)
"""Of compensation: what is best depends on how far the error is quadratic."""
_STEP_DAMPINGS = (1.0, 0.1, 0.01, 0.001)
"""Of Newton's method, in units of the curvature of each weight."""
_STEPS = 2  # of Newton's method, before rounding and after: more lead along flat directions to finer steps
_PASSES = 2  # steps of rows change the damping, and with it the conditional curvature
_SURVIVORS = 32  # beginnings that rounding goes on from
_NO_CURVATURE = 1e-30
_SCALES = range(-16 * STEPS_PER_OCTAVE, 16 * STEPS_PER_OCTAVE + 1, STEPS_PER_OCTAVE // 4)
"""Searched among, in codes of step sizes: from 2**-16 to 2**16 times the ideal one."""


class PricedQuantizer:
    """Rounds one trained network at any price of a bit; what doesn't depend on the price is computed once.

    At a high rate an error of Δ² / 12 times the curvature rises with the logarithm of a step size Δ as fast
    as bits fall where Δ² = 6 price / (ln 2 curvature). The curvature is the conditional one, that of the
    error once the other weights have made up for it.

    Args:
        network: A trained network.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
        progress: Told before each group of weights.
    """

    def __init__(self, network: Network, spec: SignalSpec, targets: Tensor, progress: Progress) -> None:
        self._original, self._names = network, list(network.weights())
        copy = fast_copy(network).to("cpu").eval().requires_grad_(False)
        values = reduced_parameters(network)
        in_integers = [name for name in values if name.rpartition(".")[0] in network.fixed_point_layers]
        others = {name: value for name, value in values.items() if name not in in_integers}
        groups = [names for names in [*curvature_groups(others), in_integers] if names]
        self._groups = []
        for number, names in enumerate(groups):
            progress("measuring what weights are worth", number, len(groups))
            objective = objective_of(copy, names, spec, targets)
            self._groups.append(_Group(objective, {name: values[name] for name in names}))

    def at_price(self, price: float, progress: Progress) -> QuantizedNetwork:
        """The network of about the least error plus priced bits.

        Args:
            price: Mean squared error that a bit is worth.
            progress: Told before each group of weights.
        """
        for group in self._groups:
            group.restore()
        tensors: dict[str, QuantizedTensor] = {}
        for number, group in enumerate(self._groups):
            progress("rounding", number, len(self._groups))
            tensors |= group.rounded(price)
        ordered = {name: tensors[name] for name in self._names}
        return QuantizedNetwork(self._original, ordered, rounded_integers(self._original))


@dataclass(frozen=True)
class _Trial:
    """Weights rounded in one way.

    Attributes:
        cost: Objective and priced bits.
        compensation: How weights made up for each other.
        codes: Step size codes of each tensor's rows.
        tensors: Levels and step sizes.
        weights: What decoders make of them, (n,).
    """

    cost: float
    compensation: Compensation
    codes: dict[str, Integers]
    tensors: dict[str, QuantizedTensor]
    weights: Floats


class _Group:
    """Weights that are rounded together.

    Args:
        objective: What they are judged by.
        values: The weights by name, periodic ones in their centred interval.
    """

    def __init__(self, objective: Objective, values: Mapping[str, Tensor]) -> None:
        self._objective, self._values = objective, values
        # Decoders run what changes bits in integers, with powers of two for steps.
        self._unit = STEPS_PER_OCTAVE if objective.of_bits else 1
        self._point = flattened(values)
        self.restore()
        self._curvature = objective.curvature()
        self._polish()
        self.restore()
        self._compensations = [self._compensation(damping) for damping in _DAMPINGS]

    def restore(self) -> None:
        """Give the network the weights before rounding."""
        self._objective.put(self._point)

    def rounded(self, price: float) -> dict[str, QuantizedTensor]:
        """The weights at about the least cost, also put into the network.

        Args:
            price: Mean squared error that a bit is worth.
        """
        price = 1.0 if self._objective.of_bits else price
        trials = [(self._best_scale(*found, price), found) for found in self._compensations]
        best, found = min(trials, key=lambda trial: trial[0].cost)
        self._compensations = [found]  # the damping that is best at one price will do at the next
        for _ in range(_STEPS):
            points = self._downhill(best.weights)
            moved = [self._trial(best.compensation, best.codes, point, price) for point in points]
            nearby = min(moved, key=attrgetter("cost"))
            if nearby.cost >= best.cost:
                break
            best = nearby
        self._objective.put(best.weights)
        return best.tensors

    def _polish(self) -> None:
        """Newton's method from where training ended, since latents are rounded now."""
        least = self._at(self._point)
        for _ in range(_STEPS):
            value, point = min(((self._at(p), p) for p in self._downhill(self._point)), key=itemgetter(0))
            if value >= least:
                break
            least, self._point = value, point

    def _compensation(self, damping: float) -> tuple[Compensation, Floats]:
        """How weights make up for each other, and the curvature in each while the others do."""
        curvature = self._curvature.diagonal()
        for _ in range(_PASSES):
            codes = codes_of_curvature(self._values, curvature)
            compensation = Compensation.of(self._curvature, relative_steps(codes, self._values), damping)
            curvature = compensation.conditional_curvature()
        return compensation, curvature

    def _best_scale(self, compensation: Compensation, curvature: Floats, price: float) -> _Trial:
        """The weights with the multiple of all ideal step sizes that costs least."""
        trials: dict[int, _Trial] = {}
        middle = nearest_code(1.0) + STEPS_PER_OCTAVE / 2 * math.log2(6 * price / math.log(2))

        def cost(scale: int) -> float:
            codes = codes_of_curvature(self._values, curvature, middle + scale, self._unit)
            codes = codes_of_file(self._values, codes, self._unit)
            trials[scale] = self._trial(compensation, codes, self._point, price)
            return trials[scale].cost

        return trials[lowest(cost, _SCALES)]

    def _trial(
        self, compensation: Compensation, codes: dict[str, Integers], point: Floats, price: float
    ) -> _Trial:
        steps = steps_of_weights(codes, self._values)
        levels = compensation.nearest(point, steps, _SURVIVORS)
        tensors = {
            name: QuantizedTensor(part, codes[name])
            for name, part in unflattened(levels, self._values).items()
        }
        weights = levels * steps
        cost = self._at(weights) + price * weight_bits(tensors)
        return _Trial(cost, compensation, codes, tensors, weights)

    def _at(self, point: Floats) -> float:
        self._objective.put(point)
        value = self._objective.value()
        return value if math.isfinite(value) else math.inf

    def _downhill(self, point: Floats) -> list[Floats]:
        """Where steps of Newton's method lead, each with another damping."""
        self._objective.put(point)
        slope = torch.from_numpy(self._objective.gradient() / -2)
        curvature = torch.from_numpy(self._curvature)
        diagonal = curvature.diagonal().clamp_min(_NO_CURVATURE).diag()
        return [
            point + torch.linalg.solve(curvature + damping * diagonal, slope).numpy()
            for damping in _STEP_DAMPINGS
        ]
