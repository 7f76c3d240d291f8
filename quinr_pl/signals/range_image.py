"""Range images: how far from the scanner the surface is that each ray meets."""

from __future__ import annotations

from dataclasses import dataclass

from quinr_pl.errors import QuinrError
from quinr_pl.signals.kind import SignalKind


@dataclass(frozen=True)
class RangeImage(SignalKind):
    """Metres from 0, where there is no return, to the peak."""

    def check_range(self, low: float, high: float) -> None:
        """Refuses negative ranges as well.

        Raises:
            QuinrError: If the interval is empty, not finite or begins below 0.
        """
        super().check_range(low, high)
        if low < 0:
            raise QuinrError(f"signal range [{low}, {high}]: ranges in metres are not negative")


RANGE_IMAGE = RangeImage(2, "range_image", ("height", "width"), "float32", (0.0, 80.0), masked=True)
