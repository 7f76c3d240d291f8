"""GPTQ-like rounding after training: steps and levels from the curvature of the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.file.encoder import bytes_for_rate, encode
from quinr_pl.codec.quantized import QuantizedNetwork, QuantizedTensor
from quinr_pl.codec.rounding.compensation import Compensation
from quinr_pl.codec.rounding.curvature import gauss_newton, require_sampling, sample_coordinates
from quinr_pl.codec.rounding.flattening import flattened, unflattened
from quinr_pl.codec.rounding.levels import reduced_parameters
from quinr_pl.codec.rounding.protocol import Progress, Rounding, check_positive, untold
from quinr_pl.codec.rounding.row_steps import codes_missing, codes_of_curvature, steps_of_weights
from quinr_pl.codec.sections.weights import ROW_UNIT
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.base import layers
from quinr_pl.signals import SignalSpec

LARGEST_GROUP = 4096
"""Weights that one curvature matrix holds at most."""
_POINTS_PER_WEIGHT = 8
_PASSES = 2
_LARGEST_CODE, _MIDDLE_CODE, _FARTHEST = 255, 128, 100


@dataclass(frozen=True)
class Compensated(Rounding):
    """GPTQ-like rounding: one weight after another, those still to come making up for it; some seconds.

    The update is that of the optimal brain surgeon, as in GPTQ (Frantar et al. 2022, "GPTQ: Accurate
    Post-Training Quantization for Generative Pre-trained Transformers"), under the Gauss-Newton matrix of the
    squared error. Step sizes of rows come from the same matrix, and one number scales all of them until the
    file has the size asked for.

    Args:
        rate: Bits of the file for each weight, everything but a mask included, at most.
        points: Coordinates that the curvature is averaged over, at most.
        damping: Added to the curvature's diagonal, in units of the mean curvature of a step.
        seed: Seed of the choice of coordinates.

    Raises:
        QuinrError: If a value is out of range.
    """

    method: ClassVar[str] = "compensated"

    rate: float = 6.0
    points: int = 24576
    damping: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(rate=self.rate, points=self.points, damping=self.damping)
        if self.seed < 0:
            raise QuinrError(f"seed {self.seed}: must not be negative")

    def check(self, network: Network) -> None:
        """Refuse networks whose values at some coordinates depend on more than weights."""
        require_sampling(network, f"quantization method {self.method}", "choose nearest or searched")

    def quantize(
        self, network: Network, spec: SignalSpec, targets: Tensor | None = None, progress: Progress = untold
    ) -> QuantizedNetwork:
        """See Rounding; the signal gives its coordinates, and its values have no part in it."""
        return CompensatedQuantizer(network, spec, self).at_size(bytes_for_rate(network, spec, self.rate))


class CompensatedQuantizer:
    """Quantizes one trained network at any rate; what doesn't depend on the rate is computed once.

    The step size of a row of weights is inverse to the root of its mean conditional curvature, which at
    high rate makes the error smallest at a given size; so one number moves all of them.

    Args:
        network: A trained network.
        spec: The signal, whose grid gives the sample of coordinates.
        options: ``points``, ``damping`` and ``seed`` are used here.
    """

    def __init__(self, network: Network, spec: SignalSpec, options: Compensated) -> None:
        self._network = network
        self._spec = spec
        self._values = reduced_parameters(network)
        self._groups: list[tuple[list[str], Compensation]] = []
        self._codes: dict[str, Integers] = {}
        groups = curvature_groups(self._values)
        largest = max(sum(self._values[name].numel() for name in names) for names in groups)
        points = curvature_sample(spec, largest, options)
        for names in groups:
            hessian = gauss_newton(network, names, points)
            self._groups.append((names, self._choose_steps(names, hessian, options.damping)))
        self._codes = _near_the_median(self._codes)

    def _choose_steps(self, names: list[str], hessian: Floats, damping: float) -> Compensation:
        """Step sizes, relative to each other, and the compensation that goes with them."""
        curvature = hessian.diagonal()
        for _ in range(_PASSES):
            codes = codes_of_curvature({name: self._values[name] for name in names}, curvature)
            # Only ratios matter to the compensation: the middle of the grid of step sizes will do.
            steps = steps_of_weights(_near_the_median(codes), self._values)
            compensation = Compensation.of(hessian, steps, damping)
            curvature = compensation.conditional_curvature()
        self._codes |= codes
        return compensation

    def codes(self, scale: int, finer: int = 0) -> dict[str, Integers]:
        """Step size codes of each tensor's rows.

        Args:
            scale: Of the finest row; eight more make all steps twice as large and save about a bit for
                each weight.
            finer: How many layers, the first ones, have steps one code finer than that.
        """
        lowest = min(int(codes.min()) for codes in self._codes.values())
        result: dict[str, Integers] = {}
        for index, names in enumerate(layers(self._codes).values()):
            codes = {name: self._codes[name] - lowest + scale - (index < finer) for name in names}
            # The whole layer moves, so that its rows keep their ratios.
            more = max(codes_missing(self._values[name], codes[name]) for name in names)
            result |= {name: codes[name] + more for name in names}
        return result

    def quantize(self, codes: Mapping[str, Integers]) -> QuantizedNetwork:
        """Levels at given step sizes."""
        tensors: dict[str, QuantizedTensor] = {}
        for names, compensation in self._groups:
            values = {name: self._values[name] for name in names}
            steps = steps_of_weights({name: codes[name] for name in names}, values)
            levels = compensation.round(flattened(values), steps).astype(np.int64)
            for name, part in unflattened(levels, values).items():
                tensors[name] = QuantizedTensor(part, codes[name])
        return QuantizedNetwork(self._network, {name: tensors[name] for name in self._values})

    def at_size(self, most_bytes: float) -> QuantizedNetwork:
        """The finest levels whose file takes at most so many bytes.

        If no step size makes the file that small, the coarsest levels come back.
        """

        def trial(scale: int, finer: int) -> QuantizedNetwork | None:
            quantized = self.quantize(self.codes(scale, finer))
            return quantized if len(encode(quantized, self._spec).data) <= most_bytes else None

        spread = max(int(codes.max()) for codes in self._codes.values()) - min(
            int(codes.min()) for codes in self._codes.values()
        )
        # Files shrink as steps grow: bisect, first in whole scales, then layer by layer.
        too_fine, scale, best = 1, max(2, _LARGEST_CODE - spread), None
        while scale - too_fine > 1:
            middle = (too_fine + scale) // 2
            found = trial(middle, 0)
            too_fine, scale, best = (too_fine, middle, found) if found else (middle, scale, best)
        if best is None:
            return self.quantize(self.codes(scale))
        finer, too_many = 0, len(layers(self._codes))
        while too_many - finer > 1:
            middle = (finer + too_many) // 2
            found = trial(scale, middle)
            finer, too_many, best = (middle, too_many, found) if found else (finer, middle, best)
        return best


def curvature_sample(spec: SignalSpec, weights: int, options: Compensated) -> Tensor:
    """Coordinates to average the curvature of so many weights over."""
    return sample_coordinates(spec, min(options.points, max(512, _POINTS_PER_WEIGHT * weights)), options.seed)


def _near_the_median(codes: Mapping[str, Integers]) -> dict[str, Integers]:
    """Codes moved to the middle of the grid; rows far from the others, of weights without effect, nearer."""
    median = int(np.median(np.concatenate(list(codes.values()))))
    far = {name: np.abs(rows - median) - _FARTHEST for name, rows in codes.items()}
    moves = {name: ROW_UNIT * np.maximum(0, -(-over // ROW_UNIT)) for name, over in far.items()}
    return {
        name: rows - median + _MIDDLE_CODE - np.sign(rows - median) * moves[name]
        for name, rows in codes.items()
    }


def curvature_groups(values: dict[str, Tensor]) -> list[list[str]]:
    """Consecutive layers whose weights are few enough for one matrix; larger layers stand alone."""
    groups: list[list[str]] = []
    size = LARGEST_GROUP + 1
    for names in layers(values).values():
        more = sum(values[name].numel() for name in names)
        if size + more > LARGEST_GROUP:
            groups.append([])
            size = 0
        groups[-1] += names
        size += more
    return groups
