"""What a search among roundings chooses from: step sizes, or dead zones around another frame's levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from quinr_pl.codec.arrays import Floats
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL, coded_bits
from quinr_pl.codec.quantized import (
    FIXED_POINT_CODES,
    STEPS_PER_OCTAVE,
    QuantizedTensor,
    least_code,
    level_differences,
    nearest_code,
)
from quinr_pl.codec.rounding.levels import reduce_period, round_to_levels

_FINEST = 2.0**-16  # a photograph of 1 bit a pixel needs steps of the read-out below 2**-13
_OCTAVES = 15
_TRIALS_PER_OCTAVE = 2
_DEAD_ZONES = (0.5, 0.7, 1.0, 1.5, np.inf)
"""How many steps a weight has to be away from the other frame's level until it takes the first one.

With a half each goes to its nearest level, with infinity all stay.
"""


class Choices(Protocol):
    """Ways to round a layer, by a code each: the higher the code, the fewer the bits."""

    def codes(self, tensors: list[Tensor], in_integers: bool) -> list[int]:
        """All codes of a layer, in order.

        Args:
            tensors: Its weights.
            in_integers: Whether decoders run it in integers.
        """

    def rounded(self, name: str, values: Tensor, code: int) -> QuantizedTensor:
        """The weights of one name, rounded."""

    def bits(self, tensors: Mapping[str, QuantizedTensor]) -> float:
        """What the levels of a layer take of the file."""


class StepSizes(Choices):
    """A step size for all weights of a layer, whose levels are the nearest."""

    def codes(self, tensors: list[Tensor], in_integers: bool) -> list[int]:
        """Of the step sizes that levels can have; see `Choices`."""
        lowest = least_code(tensors)
        if in_integers:
            finest, coarsest = FIXED_POINT_CODES
            allowed = range(finest, coarsest + 1, STEPS_PER_OCTAVE)
            return [code for code in allowed if code >= lowest] or [coarsest]
        first = nearest_code(_FINEST)
        trials = range(first, first + _OCTAVES * STEPS_PER_OCTAVE, STEPS_PER_OCTAVE // _TRIALS_PER_OCTAVE)
        return sorted({max(code, lowest) for code in trials})

    def rounded(self, name: str, values: Tensor, code: int) -> QuantizedTensor:
        """At the step size of a code; see `Choices`."""
        return QuantizedTensor.of_one_step(round_to_levels(values, code), code)

    def bits(self, tensors: Mapping[str, QuantizedTensor]) -> float:
        """Of each tensor's levels by themselves; see `Choices`."""
        return sum(coded_bits(tensor.levels.ravel()) for tensor in tensors.values())


@dataclass(frozen=True)
class DeadZones(Choices):
    """How far a weight has to be from another frame's level to leave it, at that frame's step sizes.

    Args:
        before: The other frame's weights.
        periods: Of those weights that have one.
    """

    before: Mapping[str, QuantizedTensor]
    periods: Mapping[str, Tensor]

    def codes(self, tensors: list[Tensor], in_integers: bool) -> list[int]:
        """The same of all layers; see `Choices`."""
        return list(range(len(_DEAD_ZONES)))

    def rounded(self, name: str, values: Tensor, code: int) -> QuantizedTensor:
        """Moved from the other frame's levels; see `Choices`."""
        before, zone = self.before[name], _DEAD_ZONES[code]
        difference = reduce_period(values - before.dequantize(), self.periods.get(name))
        away = difference.numpy().astype(np.float64) / before.steps
        steps: Floats = np.floor(np.maximum(np.abs(away) + 1 - zone, 0)) if np.isfinite(zone) else 0 * away
        levels = before.levels + (np.sign(away) * steps).astype(np.int64)
        return QuantizedTensor(np.clip(levels, -LARGEST_LEVEL, LARGEST_LEVEL), before.codes)

    def bits(self, tensors: Mapping[str, QuantizedTensor]) -> float:
        """Of the differences from the other frame's levels; see `Choices`."""
        return coded_bits(level_differences(tensors, self.before))
