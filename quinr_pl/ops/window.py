"""Rectangles of pictures and grids."""

from __future__ import annotations

from dataclasses import dataclass

from quinr_pl.native.memory import AnyArray

Shape = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A rectangle of rows and columns of a grid.

    Attributes:
        top: Its first row.
        bottom: One past its last row.
        left: Its first column.
        right: One past its last column.
    """

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, shape: Shape) -> Window:
        """All of a grid of so many rows and columns."""
        return cls(0, shape[0], 0, shape[1])

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def size(self) -> int:
        """Number of places."""
        rows, columns = self.shape
        return rows * columns

    def of(self, values: AnyArray) -> AnyArray:
        """The part of a grid's values, (..., rows, columns), that lies in the window: a view."""
        part: AnyArray = values[..., self.top : self.bottom, self.left : self.right]
        return part

    def within(self, outer: Window) -> Window:
        """The same window, counted from the first row and column of one that contains it."""
        rows, columns = outer.top, outer.left
        return Window(self.top - rows, self.bottom - rows, self.left - columns, self.right - columns)

    def widened(self, margin: int, shape: Shape, below: bool = True) -> Window:
        """With so many rows and columns more to each side, as far as a grid of a shape has them.

        Args:
            margin: Rows and columns.
            shape: Rows and columns of the grid.
            below: Whether rows below are wanted too.
        """
        return Window(
            max(0, self.top - margin),
            min(shape[0], self.bottom + margin * below),
            max(0, self.left - margin),
            min(shape[1], self.right + margin),
        )

    def joined(self, other: Window) -> Window:
        """The smallest window that contains both."""
        return Window(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def coarser(self, octaves: int = 1) -> Window:
        """What covers it on a grid of 1/2**octaves of the resolution."""
        return Window(
            self.top >> octaves,
            -(-self.bottom >> octaves),
            self.left >> octaves,
            -(-self.right >> octaves),
        )

    def finer(self, octaves: int, shape: Shape) -> Window:
        """What it covers of a grid of 2**octaves times the resolution, which has so many rows and columns."""
        return Window(
            self.top << octaves,
            min(self.bottom << octaves, shape[0]),
            self.left << octaves,
            min(self.right << octaves, shape[1]),
        )
