"""Training at rising resolutions."""

from __future__ import annotations

from collections.abc import Sequence

from quinr_pl.errors import QuinrError


class Stages:
    """Stages of training, each on the signal at 1/2**octave of its resolution.

    A step of it costs 4**-octave of one at the full resolution.

    Args:
        coarse_steps: Shares of the steps at reduced resolutions, the coarsest first: (a, b) begins with a
            share a of the steps at 1/4, then a share b at 1/2. The rest are at the full one.

    Raises:
        QuinrError: If a share is negative or nothing is left.
    """

    def __init__(self, coarse_steps: Sequence[float]) -> None:
        if min(coarse_steps, default=0) < 0 or not sum(coarse_steps) < 1:
            raise QuinrError(f"--model.network.coarse_steps {list(coarse_steps)}: must sum to less than 1")
        shares = [*coarse_steps, 1 - sum(coarse_steps)]
        self._stages = [(len(shares) - 1 - index, share) for index, share in enumerate(shares)]
        self._total = sum(steps * 4.0**-octave for octave, steps in self._stages)
        self._beginnings: dict[int, float] = {}
        done = 0.0
        for octave, steps in self._stages:
            self._beginnings[octave] = done / self._total
            done += steps * 4.0**-octave

    def progress(self, share: float) -> float:
        """Share of the work that is done after a share of the steps."""
        done = before = 0.0
        for octave, steps in self._stages:
            done += min(max(share - before, 0.0), steps) * 4.0**-octave
            before += steps
        return done / self._total

    def octave(self, progress: float) -> int:
        """Octave of the stage that is under way after a share of the work."""
        return min(octave for octave, begins in self._beginnings.items() if begins <= progress + 1e-9)

    def beginning(self, octave: int) -> float:
        """Share of the work that is done when the stage of an octave begins; 0 if it has none."""
        return self._beginnings.get(octave, 0.0)
