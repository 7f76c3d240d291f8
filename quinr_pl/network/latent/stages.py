"""Training at rising resolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quinr_pl.errors import QuinrError


class Stages:
    """Stages of training, each on the signal at 1/2**octave of its resolution.

    Args:
        coarse_steps: Shares of the steps at reduced resolutions, the coarsest first: (a, b) begins with a
            share a of the steps at 1/4, then a share b at 1/2. The rest are at the full one.
        tiles: Into how many tiles, of which a step takes one, the signal is cut at an octave. A step then
            costs 4**-octave / tiles of one that takes the whole signal at the full resolution.
        enlargements: How often all grids are enlarged where the resolution rises, from the first time on; see
            `LatentQuINR`. It rises no further than to the finest grid's, and so they are no more often.
        finest: Octave of the finest grid.

    Raises:
        QuinrError: If a share is negative or nothing is left, or the number is negative.

    Attributes:
        coarsest: Octave of the first stage.
        enlargements: How often all grids are enlarged.
    """

    def __init__(
        self,
        coarse_steps: Sequence[float],
        tiles: Callable[[int], int] = lambda _: 1,
        enlargements: int = 0,
        finest: int = 0,
    ) -> None:
        if min(coarse_steps, default=0) < 0 or not sum(coarse_steps) < 1:
            raise QuinrError(
                f"--model.network.coarse_steps {list(coarse_steps)}: each 0 or more, and below 1 in sum"
            )
        if enlargements < 0:
            raise QuinrError(f"--model.network.enlargements {enlargements}: must be 0 or more")
        shares = [*coarse_steps, 1 - sum(coarse_steps)]
        self._stages = [(len(shares) - 1 - index, share) for index, share in enumerate(shares)]
        self.coarsest = max(octave for octave, share in self._stages if share)
        self.enlargements = min(enlargements, max(0, self.coarsest - finest))
        self._costs = {octave: 4.0**-octave / tiles(octave) for octave, _ in self._stages}
        self._total = sum(steps * self._costs[octave] for octave, steps in self._stages)
        self._beginnings: dict[int, float] = {}
        done = 0.0
        for octave, steps in self._stages:
            self._beginnings[octave] = done / self._total
            done += steps * self._costs[octave]

    def progress(self, share: float) -> float:
        """Share of the work that is done after a share of the steps."""
        done = before = 0.0
        for octave, steps in self._stages:
            done += min(max(share - before, 0.0), steps) * self._costs[octave]
            before += steps
        return done / self._total

    def shares(self, hard_share: float) -> list[tuple[int | None, float]]:
        """Octave and share of the steps of each stage; the last one, of no octave, is a share of the work."""
        *coarse, (octave, steps) = self._stages
        hard = min(hard_share * self._total / self._costs[octave], steps)
        return [*coarse, (octave, steps - hard), (None, hard)]

    def octave(self, progress: float) -> int:
        """Octave of the stage that is under way after a share of the work."""
        return min(octave for octave, begins in self._beginnings.items() if begins <= progress + 1e-9)

    def joining(self, level: int) -> float:
        """Share of the work that is done when the grid of a level joins, with latents of zero.

        One that an enlargement fills has been there from the start, under the name of a coarser one.
        """
        joins = level < self.coarsest - self.enlargements
        return self._beginnings.get(level, 0.0) if joins else 0.0

    def enlarged(self, progress: float) -> int:
        """How often all grids should have been enlarged after a share of the work."""
        return min(self.coarsest - self.octave(progress), self.enlargements)
