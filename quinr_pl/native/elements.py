"""Kernels that take arrays number by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from quinr_pl.native.arrays import Numbers
from quinr_pl.native.code import Code
from quinr_pl.native.values import AnyIndex, Index, Vector

ROW = 32
"""Numbers that such a kernel takes as a row: whole vectors, an even number of them in either precision."""


@dataclass(frozen=True)
class Place:
    """Some vectors of an array, one after the other, of which the last row may have only a part.

    Attributes:
        code: The kernel under construction.
        at: The first number.
        count: How many numbers the array has; None where the vectors are whole.
    """

    code: Code
    at: AnyIndex
    count: Index | None

    def read(self, array: Numbers, vector: int = 0) -> Vector:
        """One of the vectors; what the array does not have is 0."""
        first = self._first(vector)
        return array.vector(first) if self.count is None else array.gather(0, first, self.count, 1)

    def write(self, array: Numbers, value: Vector, vector: int = 0) -> None:
        """Write one of the vectors, as far as the array goes."""
        first = self._first(vector)
        if self.count is None:
            array.set_vector(first, value)
        else:
            array.scatter(value, 0, first, self.count, 1)

    def _first(self, vector: int) -> AnyIndex:
        return self.at + vector * self.code.lanes


def each(
    code: Code,
    rows: tuple[Index, Index],
    count: Index,
    body: Callable[[Place], None],
    vectors: int = 1,
) -> None:
    """Run a body on all numbers of some rows.

    Args:
        code: The kernel under construction.
        rows: The first row, and the one after the last.
        count: Numbers of the array.
        body: What is done with a place.
        vectors: Vectors of a place.
    """
    for row in code.range(*rows):

        def run(limit: Index | None, start: AnyIndex = row * ROW) -> None:
            for at in range(0, ROW, vectors * code.lanes):
                body(Place(code, start + at, limit))

        code.choose(row * ROW + ROW <= count, partial(run, None), partial(run, count))
