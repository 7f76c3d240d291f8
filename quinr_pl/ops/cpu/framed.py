"""Planes of numbers with a margin, in which kernels find neighbours without a look at the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from quinr_pl.native.memory import AnyArray, address, contiguous, copied, empty, numbers, strides
from quinr_pl.native.precision import Precision


class Framed(Generic[AnyArray]):
    """Planes in one block of memory, each with a margin all around, which is zero at first.

    Without a margin, planes whose rows are whole pairs of vectors lie as they do in a tensor. Kernels read
    and write rows in whole vectors, up to two at a time: a row has room for those that reach past the
    signal and its margin. Decoding counts on rows that are not longer (quinr_pl.network.cost).

    Args:
        planes: Number of planes.
        shape: Rows and columns of the signal.
        margin: Rows and columns around it.
        like: An array with the type and the dtype.
        clear: Whether the margin is set to zero; without, all of the frame is uninitialized.

    Attributes:
        rows: Rows of the signal.
        columns: Columns of the signal.
        row: Numbers of a row of the frame.
        whole: (planes, rows + 2 margin, row).
    """

    def __init__(
        self, planes: int, shape: Sequence[int], margin: int, like: AnyArray, clear: bool = True
    ) -> None:
        self.rows, self.columns = shape
        self._margin = margin
        lanes = Precision.of(like).lanes
        self.row = _up_to(self.columns + 2 * margin, 2 * lanes) + 2 * margin
        self.whole: AnyArray = empty(like, planes, self.rows + 2 * margin, self.row)
        if clear:
            self.clear_margin()

    @property
    def signal(self) -> AnyArray:
        """The part inside the margin, (planes, rows, columns), uninitialized at first."""
        top, bottom, left, right = self._edges()
        return self.whole[:, top:bottom, left:right]

    def clear_margin(self) -> None:
        """Set everything to zero but the signal."""
        top, bottom, left, right = self._edges()
        whole = numbers(self.whole)
        whole[:, :top] = whole[:, bottom:] = 0
        whole[:, :, :left] = whole[:, :, right:] = 0

    @classmethod
    def around(cls, signal: AnyArray, margin: int) -> Framed[AnyArray]:
        """A copy of a signal, (planes, rows, columns), in a margin of zeros."""
        framed = cls(len(signal), signal.shape[1:], margin, signal)
        framed.signal[:] = signal
        return framed

    @classmethod
    def of(cls, signal: AnyArray, margin: int) -> Framed[AnyArray]:
        """A signal in a margin of zeros, to be read: itself where it needs no frame."""
        if margin or signal.shape[2] % (2 * Precision.of(signal).lanes):
            return cls.around(signal, margin)
        framed = cls(0, signal.shape[1:], margin, signal)
        framed.whole = contiguous(signal)
        return framed

    def address(self, plane: int, row: int, column: int) -> int:
        """Where a number lies; row and column count from the signal's first, negative in the margin."""
        place = (self._margin + row) * self.row + self._margin + column
        return address(self.whole) + (plane * strides(self.whole)[0] + place) * self.whole.itemsize

    def taken(self) -> AnyArray:
        """The signal without its frame, contiguous: a copy, unless there is no more than the signal."""
        signal = self.signal
        return self.whole if signal.shape == self.whole.shape else copied(signal)

    def repeat_edges(self, rings: int) -> None:
        """Fill the innermost rings of the margin with the edges of the signal."""
        top, bottom, left, right = self._edges()
        whole = numbers(self.whole)
        inside = whole[:, top:bottom]
        inside[:, :, left - rings : left] = inside[:, :, left : left + 1]
        inside[:, :, right : right + rings] = inside[:, :, right - 1 : right]
        whole[:, top - rings : top] = whole[:, top : top + 1]
        whole[:, bottom : bottom + rings] = whole[:, bottom - 1 : bottom]

    def fold_edges(self, rings: int) -> None:
        """The adjoint of repeating them: add the rings to the edges they repeat, and clear the margin."""
        top, bottom, left, right = self._edges()
        rows = numbers(self.whole)[:, :, left - rings : right + rings]
        columns = rows[:, top:bottom]
        for ring in range(rings):
            rows[:, top] += rows[:, top - rings + ring]
            rows[:, bottom - 1] += rows[:, bottom + ring]
        for ring in range(rings):
            columns[:, :, rings] += columns[:, :, ring]
            columns[:, :, -rings - 1] += columns[:, :, ring - rings]
        self.clear_margin()

    def _edges(self) -> tuple[int, int, int, int]:
        """The first row of the signal, the one past the last, and columns likewise."""
        return self._margin, self._margin + self.rows, self._margin, self._margin + self.columns


def _up_to(number: int, unit: int) -> int:
    return unit * -(-number // unit)
