"""Which part of a large signal a training step looks at."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from quinr_pl.fields import require_at_least
from quinr_pl.network.latent.bands import grid_shape
from quinr_pl.ops.window import Window

STEP_PIXELS = 1 << 19
"""Pixels of a training step, in about half a gigabyte: those of photographs that others are measured on."""
_LARGEST_SHIFT = 0.25  # of a tile, by which the cuts of a pass move: no latent lies at a cut for long


class Tiles:
    """Cuts a signal into tiles of about equal size, pass after pass, when it is too large for one step.

    Each pass visits every tile once, in random order. Cuts lie between latents of the coarsest grid and move
    from pass to pass. What is drawn follows from the step alone, so that a continued fit goes on as it would
    have done.

    Args:
        height: Rows of the signal.
        width: Columns of the signal.
        coarsest: Binary logarithm of the pixels a side for a latent of the coarsest grid.
        pixels: Pixels of a tile, on average at most.

    Raises:
        QuinrError: If a tile has no pixel.
    """

    def __init__(self, height: int, width: int, coarsest: int, pixels: int) -> None:
        require_at_least(1, {"--model.network.step_pixels": pixels})
        self._height, self._width, self._coarsest, self._pixels = height, width, coarsest, pixels

    def count(self, octave: int) -> int:
        """Tiles of a pass at 1/2**octave of the resolution."""
        return math.prod(self._layout(octave))

    def tile(self, octave: int, step: int) -> Window:
        """What a step looks at.

        Args:
            octave: Binary logarithm of the pixels a side for a value at the step's resolution.
            step: Number of the step, from 0.

        Returns:
            Rows and columns at that resolution.
        """
        number, place = divmod(step, self.count(octave))
        generator = torch.Generator().manual_seed(number)
        rows, columns = (
            list(self._pieces(size, pieces, octave, generator))
            for size, pieces in zip(self._shape(octave), self._layout(octave), strict=True)
        )
        order = torch.randperm(len(rows) * len(columns), generator=generator)
        row, column = divmod(int(order[place]), len(columns))
        return Window(*rows[row], *columns[column])

    def _shape(self, octave: int) -> tuple[int, int]:
        return grid_shape(self._height, self._width, octave)

    def _unit(self, octave: int) -> int:
        return 1 << max(0, self._coarsest - octave)

    def _layout(self, octave: int) -> tuple[int, int]:
        """Into how many pieces rows and columns are cut, for tiles that are about square."""
        shape = self._shape(octave)
        # A piece that has lost a quarter still has a latent of the coarsest grid.
        most = [max(1, int((1 - _LARGEST_SHIFT) * size / self._unit(octave))) for size in shape]
        tiles = math.ceil(shape[0] * shape[1] / self._pixels)
        rows = min(max(1, round(math.sqrt(tiles * shape[0] / shape[1]))), most[0])
        columns = min(math.ceil(tiles / rows), most[1])
        return min(math.ceil(tiles / columns), most[0]), columns

    def _pieces(
        self, size: int, pieces: int, octave: int, generator: torch.Generator
    ) -> Iterator[tuple[int, int]]:
        """First and one past the last of each piece."""
        unit = self._unit(octave)
        shift = _LARGEST_SHIFT * (2 * float(torch.rand((), generator=generator)) - 1)
        cuts = [unit * round((number + shift) * size / pieces / unit) for number in range(1, pieces)]
        return zip([0, *cuts], [*cuts, size], strict=True)
