"""What latents take of a file without coding them, and what a change of a single one would take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.coding import ans
from quinr_pl.codec.coding.latents import (
    ESCAPE,
    ESCAPE_BITS,
    IntegerContext,
    symbols_of,
    table,
)
from quinr_pl.ops.kernels.context import reach_of

_BLOCK = 1 << 16


class LatentPrices:
    """Bits of latents under a context model, as the decoder runs it.

    Args:
        grids: Latents of each grid, the finest first.
        context: The context model.
    """

    def __init__(self, grids: Sequence[npt.NDArray[np.integer]], context: IntegerContext) -> None:
        self._context, self._reach = context, reach_of(context.offsets)
        self._grids = [np.asarray(grid, dtype=np.int64) for grid in grids]
        self._framed = [np.pad(grid, self._reach) for grid in self._grids]

    def total(self) -> float:
        """Bits of all latents."""
        total = 0.0
        for index, grid in enumerate(self._grids):
            places = np.arange(grid.size)
            for block in np.split(places, range(_BLOCK, grid.size, _BLOCK)):
                rows, columns = np.divmod(block, grid.shape[1])
                total += float(self._bits(index, rows, columns, self._seen(index, rows, columns)).sum())
        return total

    def changes(self, index: int, rows: Integers, columns: Integers, steps: Integers) -> Floats:
        """Bits that the file would take more if one latent were another.

        Counted are the latent itself and all whose distribution it moves: later ones of its grid that have
        it as a neighbour, and those that it covers in the next finer grid.

        Args:
            index: Index of the grid, 0 the finest.
            rows: Of the latents, (n,).
            columns: Of the latents, (n,).
            steps: What would be added to each, (n,), each alone.

        Returns:
            (n,) bits.
        """
        seen = self._seen(index, rows, columns)
        change = self._bits(index, rows, columns, seen, steps) - self._bits(index, rows, columns, seen)
        for place, (down, right) in enumerate(self._context.offsets):
            self._add_change(change, index, rows - down, columns - right, place, steps)
        if index:
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
                self._add_change(change, index - 1, 2 * rows + down, 2 * columns + right, -1, steps)
        return change

    def _add_change(
        self, change: Floats, index: int, rows: Integers, columns: Integers, place: int, steps: Integers
    ) -> None:
        """Adds what latents change in bits when the one at a place of what they see takes a step."""
        height, width = self._grids[index].shape
        inside = np.flatnonzero((rows >= 0) & (rows < height) & (columns >= 0) & (columns < width))
        rows, columns = rows[inside], columns[inside]
        seen = self._seen(index, rows, columns)
        before = self._bits(index, rows, columns, seen)
        seen[:, place] += steps[inside]
        change[inside] += self._bits(index, rows, columns, seen) - before

    def _seen(self, index: int, rows: Integers, columns: Integers) -> Integers:
        """Neighbours of latents and the coarser grid's latent, (n, neighbours + 1)."""
        framed, offsets = self._framed[index], self._context.offsets
        seen = np.zeros((len(rows), len(offsets) + 1), dtype=np.int64)
        steps = np.array([down * framed.shape[1] + right for down, right in offsets])
        places = (rows + self._reach) * framed.shape[1] + columns + self._reach
        seen[:, :-1] = framed.reshape(-1)[places[:, None] + steps]
        if index + 1 < len(self._grids):
            seen[:, -1] = self._grids[index + 1][rows >> 1, columns >> 1]
        return seen

    def _bits(
        self, index: int, rows: Integers, columns: Integers, seen: Integers, steps: Integers | int = 0
    ) -> Floats:
        """Bits of latents, (n,), moved by steps, from what they see."""
        row, mean = self._context.predict(seen, index)
        symbols = symbols_of(self._grids[index][rows, columns] + steps, mean)
        bits: Floats = _bits_of_symbols()[row, symbols]
        return bits + np.where(symbols == ESCAPE, ESCAPE_BITS, 0.0)


@cache
def _bits_of_symbols() -> Floats:
    return ans.PRECISION - np.log2(table())
