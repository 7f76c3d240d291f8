"""Interpolation by two along both axes as vector code, and its gradients.

Tap t weighs the value t places into a frame for even results, and the one 4 - t places into it for odd ones.
A vector is sixteen values of a row (eight in float64).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers, Vectors
from quinr_pl.native.code import Program
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import AnyIndex, Index, Vector, ceil_div, deinterleave, dot, fma, interleave

TAPS = 4
MARGIN = 2
"""Values around a signal in its frame."""
LEAD = 4
"""Numbers before a line in a thread's memory."""
LINES_MARGIN = 8
"""Rows of zeros before and after ``lines``."""


class Kernel(Arguments):
    """One channel; rows ``first_row`` to ``last_row`` of the values, or of their frame in ``of_values``.

    ``values`` is at the first row and column of a frame with repeated edges. ``result`` and its gradient
    ``given`` are at row and column 0 of the doubled signal; ``given`` is zero outside the signal. ``lines``
    is the gradient of rows that are doubled already, in columns that are not: twice as many rows as the
    signal has, LINES_MARGIN rows of zeros before and after, and as many columns as the frame has, at whose
    first one it is. ``of_values`` is at the frame's first row and column.
    """

    first_row: Index
    last_row: Index
    rows: Index
    columns: Index
    values_row: Index
    result_row: Index
    lines_row: Index
    weight: Numbers
    values: Numbers
    result: Numbers
    given: Numbers
    lines: Numbers
    of_values: Numbers
    line: Numbers
    even: Numbers
    odd: Numbers
    sums: Vectors
    totals: Numbers
    """Gradients of the taps."""


def scratch_numbers(columns: int, lanes: int) -> int:
    """Numbers of each of the lines in a thread's memory."""
    return lanes * (-(-(columns + 2 * MARGIN) // lanes) + 1) + 2 * LEAD


def build(precision: Precision) -> Program:
    """The kernels; ``of_lines`` and ``of_values`` are the backward pass, in this order."""
    return Program(
        "doubling",
        precision,
        {
            "forward": lambda code: _forward(Kernel(code)),
            "of_lines": lambda code: _of_lines(Kernel(code)),
            "of_values": lambda code: _of_values(Kernel(code)),
        },
    )


def _framed_columns(k: Kernel) -> Iterator[AnyIndex]:
    """A loop over the vectors of a row of the frame; gives the column of each."""
    for index in k.code.range(0, _framed_blocks(k)):
        yield index * k.code.lanes


def _columns(k: Kernel) -> Iterator[AnyIndex]:
    """A loop over the vectors of a row of the signal; gives the column of each."""
    for index in k.code.range(0, _blocks(k)):
        yield index * k.code.lanes


def _framed_blocks(k: Kernel) -> AnyIndex:
    return ceil_div(k.columns + 2 * MARGIN, k.code.lanes)


def _blocks(k: Kernel) -> AnyIndex:
    return ceil_div(k.columns, k.code.lanes)


def _taps(k: Kernel) -> list[Vector]:
    return [k.weight[tap] for tap in range(TAPS)]


def _combine(k: Kernel, y: AnyIndex, odd: bool) -> None:
    """One doubled row of the frame, into ``line``."""
    start = y * k.values_row
    taps = _taps(k)
    for x in _framed_columns(k):
        total = k.code.constant(0.0)
        for tap, weight in enumerate(taps):
            down = TAPS - tap if odd else tap
            total = fma(weight, k.values.vector(start + k.values_row * down + x), total)
        k.line.set_vector(x, total)
    # Lanes past the signal read on: what they find is multiplied by zero and must be a number.
    k.line.set_vector(_framed_blocks(k) * k.code.lanes, 0.0)


def _forward(k: Kernel) -> None:
    for y in k.code.range(k.first_row, k.last_row):
        for odd_row in (False, True):
            _combine(k, y, odd_row)
            start = (y * 2 + int(odd_row)) * k.result_row
            taps = _taps(k)
            for x in _columns(k):
                near = [k.line.vector(x + shift) for shift in range(TAPS + 1)]
                even = dot(*((taps[tap], near[tap]) for tap in range(TAPS)))
                odd = dot(*((taps[tap], near[TAPS - tap]) for tap in range(TAPS)))
                low, high = interleave(even, odd)
                at = start + x * 2
                k.result.set_vector(at, low)
                k.result.set_vector(at + k.code.lanes, high)


def _clear_sums(k: Kernel) -> None:
    for tap in k.code.range(0, TAPS):
        k.sums[tap] = 0.0


def _write_sums(k: Kernel) -> None:
    for tap in k.code.range(0, TAPS):
        k.totals.set_sum(tap, k.sums[tap])


def _of_lines(k: Kernel) -> None:
    """From ``given`` to ``lines``."""
    _clear_sums(k)
    for y in k.code.range(k.first_row, k.last_row):
        for odd_row in (False, True):
            _combine(k, y, odd_row)
            line = y * 2 + int(odd_row)
            start, to = line * k.result_row, line * k.lines_row
            taps = _taps(k)
            _clear_ends(k, k.even)
            _clear_ends(k, k.odd)
            for x in _columns(k):
                _split(k, start + x * 2, x)
            for x in _framed_columns(k):
                total = k.code.constant(0.0)
                for tap, weight in enumerate(taps):
                    total = fma(weight, k.even.vector(x + (LEAD - tap)), total)
                    total = fma(weight, k.odd.vector(x + tap), total)
                k.lines.set_vector(to + x, total)
    _write_sums(k)


def _clear_ends(k: Kernel, line: Numbers) -> None:
    """Zeros before a line and after it."""
    line.set_vector(0, 0.0)
    line.set_vector(_blocks(k) * k.code.lanes + LEAD, 0.0)


def _split(k: Kernel, at: AnyIndex, x: AnyIndex) -> None:
    """Two vectors of ``given`` into ``even`` and ``odd``, and their share in the gradients of the taps."""
    even, odd = deinterleave(k.given.vector(at), k.given.vector(at + k.code.lanes))
    for value, line in ((even, k.even), (odd, k.odd)):
        line.set_vector(x + LEAD, value)
    for tap in range(TAPS):
        for value, shift in ((even, tap), (odd, TAPS - tap)):
            seen = k.line.vector(x + shift)
            k.sums[tap] = fma(value, seen, k.sums[tap])


def _of_values(k: Kernel) -> None:
    """From ``lines`` to ``of_values``."""
    _clear_sums(k)
    for z in k.code.range(k.first_row, k.last_row):
        taps = _taps(k)
        for x in _framed_columns(k):
            total = k.code.constant(0.0)
            for tap, weight in enumerate(taps):
                even = (z * 2 + -2 * tap) * k.lines_row
                odd = (z * 2 + (1 - 2 * (TAPS - tap))) * k.lines_row
                for start in (even, odd):
                    total = fma(weight, k.lines.vector(start + x), total)
            k.of_values.set_vector(z * k.values_row + x, total)
        k.code.when(z < k.rows, partial(_weigh, k, z))
    _write_sums(k)


def _weigh(k: Kernel, z: AnyIndex) -> None:
    """The share of two rows of ``lines`` in the gradients of the taps."""
    for x in _framed_columns(k):
        for parity in (0, 1):
            line = (z * 2 + parity) * k.lines_row
            given = k.lines.vector(line + x)
            for tap in range(TAPS):
                down = TAPS - tap if parity else tap
                seen = k.values.vector((z + down) * k.values_row + x)
                k.sums[tap] = fma(given, seen, k.sums[tap])
