"""The context model as vector code: bits of a grid's latents, and the gradients of their sum in one pass.

A vector is sixteen latents of a row (eight in float64). Hidden units live for one vector only; nothing but
the latents, the bits' sum and the gradients touches memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from llvmlite import ir

from quinr_pl.native.arguments import Arguments, Numbers, Size, Vectors
from quinr_pl.native.precision import Precision
from quinr_pl.native.vectors import Value

NAMES = ("forward", "gradient")


class Kernel(Arguments):
    """What both kernels are given: rows ``first_row`` to ``last_row`` of one grid.

    Grids lie in frames of ``stride`` numbers a row, whose margin holds zeros; row and column 0 of the grid
    are where the pointers point. Rows of the gradient before ``first_row`` belong to another thread: what
    they receive goes to ``halo``, which has ``reach_of`` rows, the last one next to ``first_row``.
    """

    first_row: Size
    last_row: Size
    columns: Size
    width: Size
    stride: Size
    coarser_stride: Size
    grid: Numbers
    coarser: Numbers
    hidden_weight: Numbers
    hidden_bias: Numbers
    output_weight: Numbers
    output_bias: Numbers
    hidden: Vectors
    sums: Vectors
    halo: Numbers
    of_grid: Numbers
    of_coarser: Numbers
    totals: Numbers
    """Sums: bits, then gradients of hidden_weight, hidden_bias, output_weight and output_bias."""


def reach_of(offsets: Sequence[tuple[int, int]]) -> int:
    """Rows up and columns to either side that neighbours lie within."""
    return max(max(-down, abs(right)) for down, right in offsets)


def sums_count(neighbours: int, width: int) -> int:
    """How many sums a kernel takes."""
    return 1 + width * (neighbours + 2) + 2 * (width + 1)


def build(
    offsets: Sequence[tuple[int, int]], octaves: tuple[float, float], least: float, precision: Precision
) -> ir.Module:
    """The kernels for neighbours at ``offsets``, (rows down, columns right); the rest as in context_bits."""
    module = ir.Module("context")
    for name in NAMES:
        kernel = Kernel(module, name, precision)
        _emit(kernel, offsets, octaves, least, gradient=name == "gradient")
        kernel.code.builder.ret_void()
    return module


def _emit(
    k: Kernel, offsets: Sequence[tuple[int, int]], octaves: tuple[float, float], least: float, gradient: bool
) -> None:
    code = k.code
    inputs = len(offsets) + 1
    reach = reach_of(offsets)
    hidden_bias = code.offset(1, (k.width, inputs))
    output_weight = code.plus(hidden_bias, k.width)
    output_bias = code.offset(output_weight, (k.width, 2))
    sums = code.plus(output_bias, 2)
    code.loop(0, sums, lambda at: code.store(code.zero, k.sums, at))

    def row(y: Value) -> None:
        start = code.times(y, k.stride)
        # The row of the gradient that lies ``up`` rows above: in the frame, or in the halo.
        above = [code.at(k.of_grid, start)]
        for up in range(1, reach + 1):
            own = code.at(k.of_grid, code.minus(start, code.times(k.stride, up)))
            line = code.plus(code.minus(code.minus(y, k.first_row), up), reach)
            other = code.at(k.halo, code.times(line, k.stride))
            inside = code.builder.icmp_signed("<=", code.plus(k.first_row, up), y)
            above.append(code.pick(inside, own, other))

        def block(index: Value) -> None:
            x = code.times(index, code.lanes)
            at = code.plus(start, x)
            seen = [
                code.load_from(k.grid, code.offset(at, (k.stride, down), right)) for down, right in offsets
            ]
            at_coarser = code.offset((y, k.coarser_stride), x)
            seen.append(code.load_from(k.coarser, at_coarser))

            def unit(j: Value, mean: Value, scale: Value) -> list[Value]:
                total = code.load(k.hidden_bias, j)
                weights = code.at(k.hidden_weight, code.times(j, inputs))
                for i, value in enumerate(seen):
                    total = code.fma(code.load(weights, i), value, total)
                total = code.maximum(total, code.zero)
                if gradient:
                    code.store(total, k.hidden, j)
                second = code.load(k.output_weight, code.plus(k.width, j))
                return [
                    code.fma(code.load(k.output_weight, j), total, mean),
                    code.fma(second, total, scale),
                ]

            biases = [code.load(k.output_bias, 0), code.load(k.output_bias, 1)]
            mean, scale = code.loop(0, k.width, unit, biases)
            valid = code.lanes_before(code.minus(k.columns, x))
            deviation = code.sub(code.load_from(k.grid, at), mean)
            bits, of_deviation, of_scale = _laplace(k, deviation, scale, octaves, least)
            code.add_to(k.sums, 0, code.select(valid, bits, code.zero))
            if not gradient:
                return
            of_deviation = code.select(valid, of_deviation, code.zero)
            of_scale = code.select(valid, of_scale, code.zero)
            of_mean = code.neg(of_deviation)
            code.add_to(k.sums, output_bias, of_mean)
            code.add_to(k.sums, code.plus(output_bias, 1), of_scale)

            def back(j: Value, *received: Value) -> list[Value]:
                value = code.load(k.hidden, j)
                code.multiply_add_to(k.sums, code.plus(output_weight, j), of_mean, value)
                second = code.offset(output_weight, k.width, j)
                code.multiply_add_to(k.sums, second, of_scale, value)
                of_hidden = code.fma(
                    code.load(k.output_weight, code.plus(k.width, j)),
                    of_scale,
                    code.mul(code.load(k.output_weight, j), of_mean),
                )
                of_hidden = code.select(code.less(code.zero, value), of_hidden, code.zero)
                code.add_to(k.sums, code.plus(hidden_bias, j), of_hidden)
                weights = code.at(k.hidden_weight, code.times(j, inputs))
                first = code.offset(1, (j, inputs))
                for i, value in enumerate(seen):
                    code.multiply_add_to(k.sums, code.plus(first, i), of_hidden, value)
                return [code.fma(code.load(weights, i), of_hidden, total) for i, total in enumerate(received)]

            *received, of_coarser = code.loop(0, k.width, back, [code.zero] * inputs)
            code.store_to(of_coarser, k.of_coarser, at_coarser)
            own = code.load_from(above[0], x)
            code.store_to(code.add(own, of_deviation), above[0], x)
            for (down, right), value in zip(offsets, received, strict=True):
                place = code.plus(x, right)
                code.store_to(code.add(code.load_from(above[-down], place), value), above[-down], place)

        code.loop(0, code.ceil_div(k.columns, code.lanes), block)

    code.loop(k.first_row, k.last_row, row)
    code.loop(0, sums if gradient else 1, lambda at: code.store_sum(code.load(k.sums, at), k.totals, at))


def _laplace(
    k: Kernel, deviation: Value, log_scale: Value, octaves: tuple[float, float], least: float
) -> tuple[Value, Value, Value]:
    """Bits, and their derivatives by the deviation and by the binary logarithm of the scale."""
    code = k.code
    low, high = (code.constant(octave) for octave in octaves)
    half = code.constant(0.5)
    clamped = code.minimum(code.maximum(log_scale, low), high)
    inverse = code.exp2(code.neg(clamped))
    steepness = code.mul(inverse, code.constant(-1 / log(2)))  # of exponents of two
    distance = code.abs(deviation)
    beyond, outer = code.sub(distance, half), code.add(distance, half)
    near = code.exp2(code.mul(code.abs(beyond), steepness))
    far = code.exp2(code.mul(outer, steepness))
    inside = code.less(distance, half)
    mass = code.select(
        inside,
        code.fma(code.neg(half), code.add(near, far), code.one),
        code.mul(half, code.sub(near, far)),
    )
    floor = code.constant(least)
    kept = code.less(mass, floor)
    mass = code.maximum(mass, floor)
    bits = code.neg(code.log2(mass))
    # d bits / d mass, times the half that both derivatives of the mass have.
    slope = code.select(kept, code.zero, code.div(code.constant(-0.5 / log(2)), mass))
    of_distance = code.neg(code.mul(slope, code.mul(inverse, code.sub(near, far))))
    negative = code.less(deviation, code.zero)
    of_deviation = code.select(negative, code.neg(of_distance), of_distance)
    of_inverse = code.mul(slope, code.sub(code.mul(outer, far), code.mul(beyond, near)))
    of_scale = code.mul(of_inverse, code.mul(inverse, code.constant(-log(2))))
    clipped = code.less(log_scale, low), code.less(high, log_scale)
    for where in clipped:
        of_scale = code.select(where, code.zero, of_scale)
    return bits, of_deviation, of_scale
