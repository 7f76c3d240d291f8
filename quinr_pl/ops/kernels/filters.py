"""Residual 3 x 3 convolutions as vector code: values plus a convolution of them, and its gradients.

A vector is sixteen values of a row (eight in float64). A plane of values lies in a frame: ``row`` numbers a
row, ``plane`` numbers a channel, the same for every array of a kernel but for ``result``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers, Vectors
from quinr_pl.native.code import Program
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import AnyIndex, Index, ceil_div, fma

_TAPS = tuple(product(range(3), range(3)))


class Kernel(Arguments):
    """What both kernels are given: rows ``first_row`` to ``last_row``.

    Pointers of values and results are at row and column 0 of the signal; values have one row and column more
    all around. ``cotangent`` is at row and column 0, too, and zero wherever the signal is not, two rows and
    columns around it and to the end of the last vector of a row. ``of_values`` is at the frame's first row
    and column, -1 of the signal: there are two rows more than the signal has.
    """

    first_row: Index
    last_row: Index
    columns: Index
    rows: Index
    channels: Index
    row: Index
    plane: Index
    weight: Numbers
    bias: Numbers
    values: Numbers
    result: Numbers
    result_row: Index
    result_plane: Index
    cotangent: Numbers
    of_values: Numbers
    sums: Vectors
    totals: Numbers
    """Sums: gradients of weight (channels, channels, 3, 3), then of bias."""


def build(precision: Precision) -> Program:
    """The kernels ``forward`` and ``backward``."""
    return Program(
        "filter",
        precision,
        {"forward": lambda code: _forward(Kernel(code)), "backward": lambda code: _backward(Kernel(code))},
    )


def _forward(k: Kernel) -> None:
    code = k.code
    for y in code.range(k.first_row, k.last_row):
        blocks = ceil_div(k.columns, code.lanes)
        for o in code.range(0, k.channels):
            own, to = y * k.row + o * k.plane, y * k.result_row + o * k.result_plane
            for x in _columns(k, blocks):
                k.result.set_vector(to + x, k.values.vector(own + x) + k.bias[o])
            for i in code.range(0, k.channels):
                start = y * k.row + i * k.plane
                _add_weighed(k, (o, i), (k.result, to), (k.values, start), blocks)


def _columns(k: Kernel, blocks: AnyIndex) -> Iterator[AnyIndex]:
    """A loop over the vectors of a row; gives the column of each."""
    for index in k.code.range(0, blocks):
        yield index * k.code.lanes


def _add_weighed(
    k: Kernel,
    channels: tuple[AnyIndex, AnyIndex],
    target: tuple[Numbers, AnyIndex],
    source: tuple[Numbers, AnyIndex],
    blocks: AnyIndex,
    sign: int = 1,
) -> None:
    """Add to a row what a row of one channel and its neighbours give through one channel's taps.

    Taps stay in registers along the row: to read them with each value takes as long as the arithmetic.

    Args:
        k: The kernel under construction.
        channels: Whose taps: what the convolution gives, and what it is given.
        target: Where the row lies.
        source: Where the other row lies.
        blocks: Vectors of the row.
        sign: -1 for the adjoint, which looks the other way.
    """
    o, i = channels
    weights = k.weight.at((o * k.channels + i) * 9)
    taps = [weights[tap] for tap in range(9)]
    (result, to), (values, start) = target, source
    for x in _columns(k, blocks):
        total = result.vector(to + x)
        for weight, (down, right) in zip(taps, _TAPS, strict=True):
            near = start + k.row * (sign * (down - 1)) + (x + sign * (right - 1))
            total = fma(weight, values.vector(near), total)
        result.set_vector(to + x, total)


def _backward(k: Kernel) -> None:
    """Row ``y`` of the frame's gradient, and row ``y`` of the signal's share in the sums, if it has one."""
    code = k.code
    biases = k.channels * k.channels * 9
    sums = biases + k.channels
    for at in code.range(0, sums):
        k.sums[at] = 0.0
    for y in code.range(k.first_row, k.last_row):
        _of_values(k, y)
        code.when(y < k.rows, partial(_of_weights, k, y, biases))
    for at in code.range(0, sums):
        k.totals.set_sum(at, k.sums[at])


def _of_values(k: Kernel, y: AnyIndex) -> None:
    """A row of the gradient of the frame's values, in every channel."""
    code = k.code
    blocks = ceil_div(k.columns + 2, code.lanes)
    for i in code.range(0, k.channels):
        to = y * k.row + i * k.plane
        for x in _columns(k, blocks):
            # Values go past the convolution, too. The frame's row and column before the signal's are -1.
            k.of_values.set_vector(to + x, k.cotangent.vector(to - k.row + (x + -1)))
        for o in code.range(0, k.channels):
            start = (y + -1) * k.row + o * k.plane + -1
            _add_weighed(k, (o, i), (k.of_values, to), (k.cotangent, start), blocks, sign=-1)


def _of_weights(k: Kernel, y: AnyIndex, biases: AnyIndex) -> None:
    """The share of a row of every channel in the gradients of weights and biases."""
    code = k.code
    blocks = ceil_div(k.columns, code.lanes)
    for o in code.range(0, k.channels):
        own = y * k.row + o * k.plane
        bias = code.variable(k.sums[biases + o])
        for index in code.range(0, blocks, bias):
            bias.value += k.cotangent.vector(own + index * code.lanes)
        k.sums[biases + o] = bias.value
        for i in code.range(0, k.channels):
            first, start = (o * k.channels + i) * 9, y * k.row + i * k.plane
            totals = [code.variable(k.sums[first + tap]) for tap in range(9)]
            for index in code.range(0, blocks, *totals):
                x = index * code.lanes
                given = k.cotangent.vector(own + x)
                for total, (down, right) in zip(totals, _TAPS, strict=True):
                    value = k.values.vector(start + k.row * (down - 1) + (x + (right - 1)))
                    total.value = fma(given, value, total.value)
            for tap, total in enumerate(totals):
                k.sums[first + tap] = total.value
