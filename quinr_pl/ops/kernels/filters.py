"""Residual 3 x 3 convolutions as vector code: values plus a convolution of them, and its gradients.

A vector is sixteen values of a row (eight in float64). A plane of values lies in a frame: ``row`` numbers a
row, ``plane`` numbers a channel, the same for every array of a kernel but for ``result``.
"""

from __future__ import annotations

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
        for index in code.range(0, ceil_div(k.columns, code.lanes)):
            at = y * k.row + index * code.lanes
            for o in code.range(0, k.channels):
                own = at + o * k.plane
                total = code.variable(k.values.vector(own) + k.bias[o])
                for i in code.range(0, k.channels, total):
                    weights = k.weight.at((o * k.channels + i) * 9)
                    plane = at + i * k.plane
                    for tap, (down, right) in enumerate(_TAPS):
                        near = plane + k.row * (down - 1) + (right - 1)
                        total.value = fma(weights[tap], k.values.vector(near), total.value)
                to = y * k.result_row + index * code.lanes + o * k.result_plane
                k.result.set_vector(to, total.value)


def _backward(k: Kernel) -> None:
    """Row ``y`` of the frame's gradient, and row ``y`` of the signal's share in the sums, if it has one."""
    code = k.code
    biases = k.channels * k.channels * 9
    sums = biases + k.channels
    for at in code.range(0, sums):
        k.sums[at] = 0.0
    for y in code.range(k.first_row, k.last_row):
        for index in code.range(0, ceil_div(k.columns + 2, code.lanes)):
            _of_values(k, y * k.row + index * code.lanes)
        code.when(y < k.rows, partial(_of_weights, k, y, biases))
    for at in code.range(0, sums):
        k.totals.set_sum(at, k.sums[at])


def _of_values(k: Kernel, at: AnyIndex) -> None:
    """The gradient of the frame's values in a vector of every channel."""
    code = k.code
    for i in code.range(0, k.channels):
        own = at + i * k.plane - k.row + -1  # values go past the convolution, too
        total = code.variable(k.cotangent.vector(own))
        for o in code.range(0, k.channels, total):
            weights = k.weight.at((o * k.channels + i) * 9)
            plane = at + o * k.plane
            for tap, (down, right) in enumerate(_TAPS):
                near = plane + k.row * -down + -right
                total.value = fma(weights[tap], k.cotangent.vector(near), total.value)
        k.of_values.set_vector(at + i * k.plane, total.value)


def _of_weights(k: Kernel, y: AnyIndex, biases: AnyIndex) -> None:
    """The share of a row of every channel in the gradients of weights and biases."""
    code = k.code
    for index in code.range(0, ceil_div(k.columns, code.lanes)):
        at = y * k.row + index * code.lanes
        for o in code.range(0, k.channels):
            given = k.cotangent.vector(at + o * k.plane)
            k.sums[biases + o] += given
            for i in code.range(0, k.channels):
                first = (o * k.channels + i) * 9
                plane = at + i * k.plane
                for tap, (down, right) in enumerate(_TAPS):
                    value = k.values.vector(plane + k.row * (down - 1) + (right - 1))
                    k.sums[first + tap] = fma(given, value, k.sums[first + tap])
