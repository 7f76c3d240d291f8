"""Interpolation by two along both axes as vector code, and its gradients.

Tap t weighs the value t places into a frame for even results, and the one 4 - t places into it for odd ones.
A vector is sixteen values of a row (eight in float64).
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from quinr_pl.native.arguments import Arguments, Numbers, Size, Vectors
from quinr_pl.native.precision import Precision
from quinr_pl.native.vectors import Array, Value

NAMES = ("forward", "of_lines", "of_values")
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

    first_row: Size
    last_row: Size
    rows: Size
    columns: Size
    values_row: Size
    result_row: Size
    lines_row: Size
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


def build(precision: Precision) -> ir.Module:
    """The kernels; ``of_lines`` and ``of_values`` are the backward pass, in this order."""
    module = ir.Module("doubling")
    for name, emit in zip(NAMES, (_forward, _of_lines, _of_values), strict=True):
        kernel = Kernel(module, name, precision)
        emit(kernel)
        kernel.code.builder.ret_void()
    return module


def _framed_blocks(k: Kernel) -> Value:
    return k.code.ceil_div(k.code.plus(k.columns, 2 * MARGIN), k.code.lanes)


def _blocks(k: Kernel) -> Value:
    return k.code.ceil_div(k.columns, k.code.lanes)


def _combine(k: Kernel, y: Value, odd: bool) -> None:
    """One doubled row of the frame, into ``line``."""
    code = k.code
    start = code.times(y, k.values_row)
    taps = [code.load(k.weight, tap) for tap in range(TAPS)]

    def block(index: Value) -> None:
        x = code.times(index, code.lanes)
        total = code.zero
        for tap, weight in enumerate(taps):
            down = TAPS - tap if odd else tap
            value = code.load_from(k.values, code.offset(start, (k.values_row, down), x))
            total = code.fma(weight, value, total)
        code.store_to(total, k.line, x)

    code.loop(0, _framed_blocks(k), block)
    # Lanes past the signal read on: what they find is multiplied by zero and must be a number.
    code.store_to(code.zero, k.line, code.times(_framed_blocks(k), code.lanes))


def _forward(k: Kernel) -> None:
    code = k.code

    def row(y: Value) -> None:
        for odd_row in (False, True):
            _combine(k, y, odd_row)
            start = code.times(code.offset((y, 2), int(odd_row)), k.result_row)
            taps = [code.load(k.weight, tap) for tap in range(TAPS)]

            def block(index: Value, start: Value = start, taps: list[Value] = taps) -> None:
                x = code.times(index, code.lanes)
                near = [code.load_from(k.line, code.plus(x, shift)) for shift in range(TAPS + 1)]
                even = code.dot(*((taps[tap], near[tap]) for tap in range(TAPS)))
                odd = code.dot(*((taps[tap], near[TAPS - tap]) for tap in range(TAPS)))
                low, high = code.interleave(even, odd)
                at = code.offset(start, (x, 2))
                code.store_to(low, k.result, at)
                code.store_to(high, k.result, code.plus(at, code.lanes))

            code.loop(0, _blocks(k), block)

    code.loop(k.first_row, k.last_row, row)


def _summed(k: Kernel, body: Callable[[], object]) -> None:
    code = k.code
    code.loop(0, TAPS, lambda tap: code.store(code.zero, k.sums, tap))
    body()
    code.loop(0, TAPS, lambda tap: code.store_sum(code.load(k.sums, tap), k.totals, tap))


def _of_lines(k: Kernel) -> None:
    """From ``given`` to ``lines``."""
    code = k.code

    def clear(array: Array) -> None:
        """Zeros before a line and after it."""
        code.store_to(code.zero, array, 0)
        end = code.plus(code.times(_blocks(k), code.lanes), LEAD)
        code.store_to(code.zero, array, end)

    def row(y: Value) -> None:
        for odd_row in (False, True):
            _combine(k, y, odd_row)
            line = code.offset((y, 2), int(odd_row))
            start, to = code.times(line, k.result_row), code.times(line, k.lines_row)
            taps = [code.load(k.weight, tap) for tap in range(TAPS)]

            def split(index: Value, start: Value = start) -> None:
                x = code.times(index, code.lanes)
                at = code.offset(start, (x, 2))
                even, odd = code.deinterleave(
                    code.load_from(k.given, at), code.load_from(k.given, code.plus(at, code.lanes))
                )
                for value, array in ((even, k.even), (odd, k.odd)):
                    code.store_to(value, array, code.plus(x, LEAD))
                for tap in range(TAPS):
                    for value, shift in ((even, tap), (odd, TAPS - tap)):
                        seen = code.load_from(k.line, code.plus(x, shift))
                        code.multiply_add_to(k.sums, tap, value, seen)

            clear(k.even)
            clear(k.odd)
            code.loop(0, _blocks(k), split)

            def gather(index: Value, to: Value = to, taps: list[Value] = taps) -> None:
                x = code.times(index, code.lanes)
                total = code.zero
                for tap, weight in enumerate(taps):
                    total = code.fma(weight, code.load_from(k.even, code.plus(x, LEAD - tap)), total)
                    total = code.fma(weight, code.load_from(k.odd, code.plus(x, tap)), total)
                code.store_to(total, k.lines, code.plus(to, x))

            code.loop(0, _framed_blocks(k), gather)

    _summed(k, lambda: code.loop(k.first_row, k.last_row, row))


def _of_values(k: Kernel) -> None:
    """From ``lines`` to ``of_values``."""
    code = k.code

    def row(z: Value) -> None:
        taps = [code.load(k.weight, tap) for tap in range(TAPS)]

        def gather(index: Value) -> None:
            x = code.times(index, code.lanes)
            total = code.zero
            for tap, weight in enumerate(taps):
                even = code.times(code.offset((z, 2), -2 * tap), k.lines_row)
                odd = code.times(code.offset((z, 2), 1 - 2 * (TAPS - tap)), k.lines_row)
                for start in (even, odd):
                    total = code.fma(weight, code.load_from(k.lines, code.plus(start, x)), total)
            code.store_to(total, k.of_values, code.offset((z, k.values_row), x))

        def weigh(index: Value) -> None:
            x = code.times(index, code.lanes)
            for parity in (0, 1):
                line = code.times(code.offset((z, 2), parity), k.lines_row)
                given = code.load_from(k.lines, code.plus(line, x))
                for tap in range(TAPS):
                    down = TAPS - tap if parity else tap
                    seen = code.load_from(k.values, code.offset((code.plus(z, down), k.values_row), x))
                    code.multiply_add_to(k.sums, tap, given, seen)

        code.loop(0, _framed_blocks(k), gather)
        inside = code.builder.icmp_signed("<", z, k.rows)
        with code.builder.if_then(inside):
            code.loop(0, _framed_blocks(k), weigh)

    _summed(k, lambda: code.loop(k.first_row, k.last_row, row))
