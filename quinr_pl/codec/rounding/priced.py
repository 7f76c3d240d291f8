"""Weights rounded together at a price of a bit, each making up for the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter

import torch
from torch import Tensor

from quinr_pl.codec.arrays import Floats
from quinr_pl.codec.quantized import STEPS_PER_OCTAVE, QuantizedNetwork, QuantizedTensor
from quinr_pl.codec.rounding.compensated import curvature_groups
from quinr_pl.codec.rounding.compensation import Compensation
from quinr_pl.codec.rounding.downhill import lowest
from quinr_pl.codec.rounding.flattening import unflattened
from quinr_pl.codec.rounding.levels import reduced_parameters, rounded_integers
from quinr_pl.codec.rounding.objectives import Objective, objective_of
from quinr_pl.codec.rounding.protocol import Progress
from quinr_pl.codec.rounding.row_steps import relative_steps, steps_of_weights
from quinr_pl.codec.rounding.spacings import OwnSteps, Spaced, Spacing, StepsOfAnother
from quinr_pl.network import Network
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec

_DAMPINGS = (1e-2, 1e-3, 1e-4)
"""Of compensation: what is best depends on how far the error is quadratic."""
_STEP_DAMPINGS = (1.0, 0.1, 0.01, 0.001)
"""Of Newton's method, in units of the curvature of each weight."""
_STEPS = 2  # of Newton's method, before rounding and after: more lead along flat directions to finer steps
_SURVIVORS = 32  # beginnings that rounding goes on from
_NO_CURVATURE = 1e-30


class PricedQuantizer:
    """Rounds one trained network at any price of a bit; what doesn't depend on the price is computed once.

    Step sizes go by the conditional curvature, that of the error once the other weights have made up for it.
    The weights of a frame that is told by another are rounded in a second way too: to the step sizes of the
    other, whose levels they leave where that lowers the error by more than the bits are worth. The way that
    costs less is taken.

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
        self._ways: list[list[_Group]] = [[]] if spec.reference is None else [[], []]
        for number, names in enumerate(groups):
            progress("measuring what weights are worth", number, len(groups))
            objective = objective_of(copy, names, spec, targets)
            part = {name: values[name] for name in names}
            # Decoders run what changes bits in integers, with powers of two for steps.
            unit = STEPS_PER_OCTAVE if objective.of_bits else 1
            spacings: list[Spacing] = [OwnSteps(part, unit)]
            if spec.reference is not None:
                before, periods = spec.reference.quantized.tensors, network.parameter_periods()
                spacings.append(StepsOfAnother(part, before, periods))
            curvature = objective.curvature()
            for way, spacing in zip(self._ways, spacings, strict=True):
                way.append(_Group(objective, part, spacing, curvature))

    def at_price(self, price: float, progress: Progress) -> QuantizedNetwork:
        """The network of about the least error plus priced bits.

        Args:
            price: Mean squared error that a bit is worth.
            progress: Told before each group of weights.
        """
        found = [self._rounded(number, price, progress) for number in range(len(self._ways))]
        _, tensors = min(found, key=itemgetter(0))
        ordered = {name: tensors[name] for name in self._names}
        return QuantizedNetwork(self._original, ordered, rounded_integers(self._original))

    def _rounded(
        self, number: int, price: float, progress: Progress
    ) -> tuple[float, dict[str, QuantizedTensor]]:
        """Error and priced bits of the weights rounded in one of the ways, and their levels."""
        way = self._ways[number]
        for group in way:
            group.restore()
        cost = 0.0
        tensors: dict[str, QuantizedTensor] = {}
        for index, group in enumerate(way):
            progress("rounding", number * len(way) + index, len(self._ways) * len(way))
            added, part = group.rounded(price)
            cost += added
            tensors |= part
        return cost, tensors


@dataclass(frozen=True)
class _Trial:
    """Weights rounded in one way.

    Attributes:
        cost: Objective and priced bits.
        compensation: How weights made up for each other.
        spaced: Where levels lie.
        tensors: Levels and step sizes.
        weights: What decoders make of them, (n,).
    """

    cost: float
    compensation: Compensation
    spaced: Spaced
    tensors: dict[str, QuantizedTensor]
    weights: Floats


class _Group:
    """Weights that are rounded together.

    Args:
        objective: What they are judged by.
        values: The weights by name.
        spacing: How their levels are spaced.
        curvature: Of the objective, where training ended; see `Objective`.
    """

    def __init__(
        self, objective: Objective, values: Mapping[str, Tensor], spacing: Spacing, curvature: Floats
    ) -> None:
        self._objective, self._values, self._spacing = objective, values, spacing
        self._point, self._curvature = spacing.point, curvature
        self.restore()
        self._polish()
        self.restore()
        self._compensations = [self._compensation(damping) for damping in _DAMPINGS]

    def restore(self) -> None:
        """Give the network the weights before rounding."""
        self._objective.put(self._point)

    def rounded(self, price: float) -> tuple[float, dict[str, QuantizedTensor]]:
        """Error and priced bits of the weights at about the least cost; these also put into the network.

        Args:
            price: Mean squared error that a bit is worth.
        """
        unit, price = (price, 1.0) if self._objective.of_bits else (1.0, price)
        trials = [(self._best_spaced(*found, price), found) for found in self._compensations]
        best, found = min(trials, key=lambda trial: trial[0].cost)
        self._compensations = [found]  # the damping that is best at one price will do at the next
        for _ in range(_STEPS):
            points = self._downhill(best.weights)
            moved = [self._trial(best.compensation, best.spaced, point, price) for point in points]
            nearby = min(moved, key=attrgetter("cost"))
            if nearby.cost >= best.cost:
                break
            best = nearby
        self._objective.put(best.weights)
        return unit * best.cost, best.tensors

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
        for _ in range(self._spacing.passes):
            codes = self._spacing.codes(curvature)
            compensation = Compensation.of(self._curvature, relative_steps(codes, self._values), damping)
            curvature = compensation.conditional_curvature()
        return compensation, curvature

    def _best_spaced(self, compensation: Compensation, curvature: Floats, price: float) -> _Trial:
        """The weights with the spacing that costs least."""
        trials: dict[int, _Trial] = {}

        def cost(number: int) -> float:
            spaced = self._spacing.spaced(number, curvature, price)
            trials[number] = self._trial(compensation, spaced, self._point, price)
            return trials[number].cost

        return trials[lowest(cost, self._spacing.numbers)]

    def _trial(self, compensation: Compensation, spaced: Spaced, point: Floats, price: float) -> _Trial:
        steps, penalty = steps_of_weights(spaced.codes, self._values), price * spaced.bits_away
        levels = compensation.nearest(point, steps, _SURVIVORS, spaced.before, penalty)
        tensors = {
            name: QuantizedTensor(part, spaced.codes[name])
            for name, part in unflattened(levels, self._values).items()
        }
        weights = levels * steps
        cost = self._at(weights) + price * self._spacing.bits(tensors)
        return _Trial(cost, compensation, spaced, tensors, weights)

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
