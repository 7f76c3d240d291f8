"""Draco: points quantized to a grid and coded by a k-d tree."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.optional_package import optional_package
from quinr_pl.signals import Points


@dataclass(frozen=True)
class Draco:
    """An encoder's settings.

    Args:
        bits: Of each coordinate, over the longest side of the box around all points.
        level: Of compression, 0 to 10; the strongest by default.

    Raises:
        QuinrError: If a setting is out of its domain.
    """

    bits: int
    level: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 30:
            raise QuinrError(f"Draco bits {self.bits}: from 1 to 30")
        if not 0 <= self.level <= 10:
            raise QuinrError(f"Draco level {self.level}: from 0 to 10")

    def encode(self, points: Points) -> bytes:
        """The file of points, (points, 3); their order is not kept.

        Raises:
            QuinrError: If DracoPy is not installed.
        """
        encoded: bytes = _dracopy().encode(
            np.ascontiguousarray(points, np.float32),
            quantization_bits=self.bits,
            compression_level=self.level,
        )
        return encoded


def decode_draco(data: bytes) -> Points:
    """The points of a file: (points, 3) float32, as many as were encoded."""
    points: npt.NDArray[np.float32] = np.asarray(_dracopy().decode(data).points, np.float32).reshape(-1, 3)
    return points


def _dracopy() -> ModuleType:
    return optional_package("DracoPy", "Draco")
