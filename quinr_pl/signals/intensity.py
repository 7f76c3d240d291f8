"""Intensities of a scan's returns, the second channel of its range image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

Intensities = npt.NDArray[np.float32]
"""(points,), in the units of the scan."""
_LARGEST_SCALE = 1 << 32
_SCALES = (1, 255, 65535)


@dataclass(frozen=True)
class Intensity:
    """How intensities become targets: a share of their scale times how much they weigh beside ranges.

    Args:
        scale: The strongest intensity.
        weight: Percent of the range of targets that they take.

    Raises:
        QuinrError: If a value is out of its domain.
    """

    scale: int
    weight: int

    def __post_init__(self) -> None:
        if not 0 < self.scale <= _LARGEST_SCALE:
            raise QuinrError(f"intensities of a scale of {self.scale}: from 1 to {_LARGEST_SCALE}")
        if not 0 < self.weight <= 100:
            raise QuinrError(f"--data.intensity {self.weight / 100:g}: from 0.01 to 1, or 0 for none")

    @classmethod
    def of(cls, intensities: npt.NDArray, weight: float) -> Intensity:
        """The usual scale that holds some intensities: 1, 255, 65535, or the strongest itself.

        Args:
            intensities: Of a scan.
            weight: Share of the range of targets, in steps of 0.01.
        """
        strongest = float(intensities.max(initial=0.0))
        scale = next((scale for scale in _SCALES if strongest <= scale), int(np.ceil(strongest)))
        return cls(scale, round(100 * weight))

    def to_targets(self, intensities: npt.NDArray) -> npt.NDArray[np.float64]:
        """Targets of intensities; negative ones count as 0."""
        return np.maximum(intensities.astype(np.float64), 0.0) / self.scale * (self.weight / 100)

    def of_targets(self, targets: npt.NDArray) -> Intensities:
        """Intensities of targets, at most the scale."""
        shares = np.clip(targets.astype(np.float64) / (self.weight / 100), 0.0, 1.0)
        return (shares * self.scale).astype(np.float32)
