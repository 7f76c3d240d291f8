"""Which step sizes weights are rounded to, and what their levels take of a file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.coding.mixture import coded_bits
from quinr_pl.codec.quantized import STEPS_PER_OCTAVE, QuantizedTensor, level_differences, nearest_code
from quinr_pl.codec.rounding.flattening import flattened
from quinr_pl.codec.rounding.levels import reduce_period
from quinr_pl.codec.rounding.row_steps import codes_of_curvature, codes_of_file
from quinr_pl.codec.sections.weights import weight_bits

_SCALES = range(-16 * STEPS_PER_OCTAVE, 16 * STEPS_PER_OCTAVE + 1, STEPS_PER_OCTAVE // 4)
"""Searched among, in codes of step sizes: from 2**-16 to 2**16 times the ideal one."""
_BITS_AWAY = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, math.inf)
"""Searched among: what each step away from the other frame's level is taken to cost. Infinity: all stay."""


@dataclass(frozen=True)
class Spaced:
    """Where levels lie.

    Args:
        codes: Step size codes of each tensor's rows.
        before: Levels that are told already, (weights,); None where there are none.
        bits_away: What each step away from them is taken to cost.
    """

    codes: dict[str, Integers]
    before: Integers | None = None
    bits_away: float = 0.0


class Spacing(ABC):
    """A way to space the levels of some weights, by one number that is searched for.

    Args:
        values: The weights by name.

    Attributes:
        numbers: Searched among.
        passes: How often codes follow the conditional curvature, which moves with them.
        point: The weights as they are rounded, (weights,).
    """

    numbers: ClassVar[Sequence[int]]
    passes: ClassVar[int]

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self.point = flattened(values)

    @abstractmethod
    def codes(self, curvature: Floats) -> dict[str, Integers]:
        """Step size codes of each tensor's rows, of which only differences matter.

        Args:
            curvature: Of the error in each weight, (weights,).
        """

    @abstractmethod
    def spaced(self, number: int, curvature: Floats, price: float) -> Spaced:
        """Where levels lie by one of the numbers.

        Args:
            number: One of ``numbers``.
            curvature: Of the error in each weight, (weights,).
            price: Error that a bit is worth.
        """

    @abstractmethod
    def bits(self, tensors: Mapping[str, QuantizedTensor]) -> float:
        """What levels and step sizes take of a file."""


class OwnSteps(Spacing):
    """Step sizes by curvature, and a multiple of all of them that is searched for.

    At a high rate an error of Δ² / 12 times the curvature rises with the logarithm of a step size Δ as fast
    as bits fall where Δ² = 6 price / (ln 2 curvature).

    Args:
        values: The weights by name, periodic ones in their centred interval.
        unit: All codes are multiples of it.
    """

    numbers, passes = _SCALES, 2

    def __init__(self, values: Mapping[str, Tensor], unit: int) -> None:
        super().__init__(values)
        self._values, self._unit = values, unit

    def codes(self, curvature: Floats) -> dict[str, Integers]:
        """See Spacing."""
        return codes_of_curvature(self._values, curvature)

    def spaced(self, number: int, curvature: Floats, price: float) -> Spaced:
        """See Spacing; the number is added to the codes of the ideal step sizes."""
        middle = nearest_code(1.0) + STEPS_PER_OCTAVE / 2 * math.log2(6 * price / math.log(2))
        codes = codes_of_curvature(self._values, curvature, middle + number, self._unit)
        return Spaced(codes_of_file(self._values, codes, self._unit))

    def bits(self, tensors: Mapping[str, QuantizedTensor]) -> float:
        """See Spacing."""
        return weight_bits(tensors)


class StepsOfAnother(Spacing):
    """Step sizes of the frame that tells a frame; how much its levels hold the new ones is searched for.

    Args:
        values: The weights by name.
        before: Levels and step sizes of the other frame.
        periods: Of periodic weights; they move the short way from the other frame's.
    """

    numbers, passes = range(len(_BITS_AWAY)), 1

    def __init__(
        self,
        values: Mapping[str, Tensor],
        before: Mapping[str, QuantizedTensor],
        periods: Mapping[str, Tensor],
    ) -> None:
        self._before = {name: before[name] for name in values}
        decoded = {name: tensor.dequantize() for name, tensor in self._before.items()}
        super().__init__(
            {
                name: decoded[name] + reduce_period(value - decoded[name], periods.get(name))
                for name, value in values.items()
            }
        )
        self._levels = np.concatenate([tensor.levels.ravel() for tensor in self._before.values()])

    def codes(self, curvature: Floats) -> dict[str, Integers]:
        """See Spacing."""
        return {name: tensor.codes for name, tensor in self._before.items()}

    def spaced(self, number: int, curvature: Floats, price: float) -> Spaced:
        """See Spacing."""
        return Spaced(self.codes(curvature), self._levels, _BITS_AWAY[number])

    def bits(self, tensors: Mapping[str, QuantizedTensor]) -> float:
        """See Spacing."""
        return coded_bits(level_differences(tensors, self._before))
