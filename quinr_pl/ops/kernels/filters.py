"""Residual 3 x 3 convolutions as vector code: values plus a convolution of them, and its gradients.

A vector is sixteen values of a row (eight in float64). A plane of values lies in a frame: ``row`` numbers a
row, ``plane`` numbers a channel, the same for every array of a kernel.
"""

from __future__ import annotations

from itertools import product

from llvmlite import ir

from quinr_pl.native.arguments import Arguments, Numbers, Size, Vectors
from quinr_pl.native.precision import Precision
from quinr_pl.native.vectors import Value

NAMES = ("forward", "backward")
_TAPS = tuple(product(range(3), range(3)))


class Kernel(Arguments):
    """What both kernels are given: rows ``first_row`` to ``last_row``.

    Pointers of values and results are at row and column 0 of the signal; values have one row and column more
    all around. ``cotangent`` is at row and column 0, too, and zero wherever the signal is not, two rows and
    columns around it and to the end of the last vector of a row. ``of_values`` is at the frame's first row
    and column, -1 of the signal: there are two rows more than the signal has.
    """

    first_row: Size
    last_row: Size
    columns: Size
    rows: Size
    channels: Size
    row: Size
    plane: Size
    weight: Numbers
    bias: Numbers
    values: Numbers
    result: Numbers
    cotangent: Numbers
    of_values: Numbers
    sums: Vectors
    totals: Numbers
    """Sums: gradients of weight (channels, channels, 3, 3), then of bias."""


def build(precision: Precision) -> ir.Module:
    """The kernels ``forward`` and ``backward``."""
    module = ir.Module("filter")
    for name, emit in zip(NAMES, (_forward, _backward), strict=True):
        kernel = Kernel(module, name, precision)
        emit(kernel)
        kernel.code.builder.ret_void()
    return module


def _forward(k: Kernel) -> None:
    code = k.code

    def row(y: Value) -> None:
        def block(index: Value) -> None:
            at = code.offset((y, k.row), (index, code.lanes))

            def output(o: Value) -> None:
                own = code.plus(at, code.times(o, k.plane))
                start = code.add(code.load_from(k.values, own), code.load(k.bias, o))

                def channel(i: Value, total: Value) -> list[Value]:
                    weights = code.at(k.weight, code.times(code.offset((o, k.channels), i), 9))
                    plane = code.plus(at, code.times(i, k.plane))
                    for tap, (down, right) in enumerate(_TAPS):
                        near = code.offset(plane, (k.row, down - 1), right - 1)
                        total = code.fma(code.load(weights, tap), code.load_from(k.values, near), total)
                    return [total]

                (total,) = code.loop(0, k.channels, channel, [start])
                code.store_to(total, k.result, own)

            code.loop(0, k.channels, output)

        code.loop(0, code.ceil_div(k.columns, code.lanes), block)

    code.loop(k.first_row, k.last_row, row)


def _backward(k: Kernel) -> None:
    """Row ``y`` of the frame's gradient, and row ``y`` of the signal's share in the sums, if it has one."""
    code = k.code
    biases = code.times(code.times(k.channels, k.channels), 9)
    sums = code.plus(biases, k.channels)
    code.loop(0, sums, lambda at: code.store(code.zero, k.sums, at))

    def row(y: Value) -> None:
        def of_values(index: Value) -> None:
            at = code.offset((y, k.row), (index, code.lanes))

            def channel(i: Value) -> None:
                def output(o: Value, total: Value) -> list[Value]:
                    weights = code.at(k.weight, code.times(code.offset((o, k.channels), i), 9))
                    plane = code.plus(at, code.times(o, k.plane))
                    for tap, (down, right) in enumerate(_TAPS):
                        near = code.offset(plane, (k.row, -down), -right)
                        total = code.fma(code.load(weights, tap), code.load_from(k.cotangent, near), total)
                    return [total]

                (total,) = code.loop(0, k.channels, output, [code.zero])
                code.store_to(total, k.of_values, code.plus(at, code.times(i, k.plane)))

            code.loop(0, k.channels, channel)

        def of_weights(index: Value) -> None:
            at = code.offset((y, k.row), (index, code.lanes))

            def output(o: Value) -> None:
                given = code.load_from(k.cotangent, code.plus(at, code.times(o, k.plane)))
                code.add_to(k.sums, code.plus(biases, o), given)

                def channel(i: Value) -> None:
                    first = code.times(code.offset((o, k.channels), i), 9)
                    plane = code.plus(at, code.times(i, k.plane))
                    for tap, (down, right) in enumerate(_TAPS):
                        near = code.offset(plane, (k.row, down - 1), right - 1)
                        value = code.load_from(k.values, near)
                        code.multiply_add_to(k.sums, code.plus(first, tap), given, value)

                code.loop(0, k.channels, channel)

            code.loop(0, k.channels, output)

        code.loop(0, code.ceil_div(code.plus(k.columns, 2), code.lanes), of_values)
        inside = code.builder.icmp_signed("<", y, k.rows)
        with code.builder.if_then(inside):
            code.loop(0, code.ceil_div(k.columns, code.lanes), of_weights)

    code.loop(k.first_row, k.last_row, row)
    code.loop(0, sums, lambda at: code.store_sum(code.load(k.sums, at), k.totals, at))
