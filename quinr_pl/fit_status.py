"""What a fit tells of its work: light enough for processes that only hear of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitStatus:
    """How far a fit is, and what its file would be.

    Attributes:
        share: Of the work that is done, 0 to 1; 0 of a fit whose number of steps is not known.
        stage: What is done at the time, such as "fitting 120/1300".
        psnr: dB of the file as it stands: measured at validations, expected between them; None before.
        bytes: Size of that file; None before.
        bpp: Its bits for each pixel; None before.
    """

    share: float
    stage: str
    psnr: float | None = None
    bytes: int | None = None
    bpp: float | None = None
