"""The context model as vector code: bits of a grid's latents, and the gradients of their sum in one pass.

A vector is sixteen latents of a row (eight in float64). Hidden units live for one vector only; nothing but
the latents, the bits' sum and the gradients touches memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import log

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers, Vectors, pick
from quinr_pl.native.code import Code, Program
from quinr_pl.native.mathematics import exp2, log2
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import (
    AnyIndex,
    Index,
    Vector,
    ceil_div,
    deinterleave,
    fma,
    interleave,
    maximum,
    minimum,
    where,
)

Offsets = Sequence[tuple[int, int]]


class Kernel(Arguments):
    """What both kernels are given: rows ``first_row`` to ``last_row`` of one grid.

    Grids lie in frames of ``stride`` and ``coarser_stride`` numbers a row, whose margin holds zeros; row and
    column 0 of the grid are where the pointers point. ``first_row`` is even, and but for the last so is
    ``last_row``: a latent of the coarser grid covers two rows and two columns. Rows of the gradient
    before ``first_row`` belong to another thread: what they receive goes to ``halo``, which has
    ``reach_of`` rows, the last one next to ``first_row``.
    """

    first_row: Index
    last_row: Index
    columns: Index
    width: Index
    stride: Index
    coarser_stride: Index
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


def reach_of(offsets: Offsets) -> int:
    """Rows up and columns to either side that neighbours lie within."""
    return max(max(-down, abs(right)) for down, right in offsets)


def sums_count(neighbours: int, width: int) -> int:
    """How many sums a kernel takes."""
    return 1 + width * (neighbours + 2) + 2 * (width + 1)


def build(offsets: Offsets, octaves: tuple[float, float], least: float, precision: Precision) -> Program:
    """The kernels ``forward`` and ``gradient``.

    Args:
        offsets: Rows down and columns right of the neighbours.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability of an integer.
        precision: The number format.
    """

    def emit(code: Code, gradient: bool) -> None:
        _Grid(Kernel(code), offsets, _Laplace(octaves, least), gradient).emit()

    return Program(
        "context",
        precision,
        {"forward": partial(emit, gradient=False), "gradient": partial(emit, gradient=True)},
    )


class _Grid:
    """One of the kernels under construction.

    Args:
        k: Arguments of the kernel.
        offsets: Rows down and columns right of the neighbours.
        laplace: The distribution of the latents.
        gradient: Whether gradients are wanted.
    """

    def __init__(self, k: Kernel, offsets: Offsets, laplace: _Laplace, gradient: bool) -> None:
        self.k, self.offsets, self.laplace, self.gradient = k, offsets, laplace, gradient
        self.inputs = len(offsets) + 1
        # Where gradients begin in the sums; those of the hidden layer's matrix follow the bits.
        self.hidden_bias = 1 + k.width * self.inputs
        self.output_weight = self.hidden_bias + k.width
        self.output_bias = self.output_weight + k.width * 2
        self.sums = self.output_bias + 2

    def emit(self) -> None:
        """Code of all rows."""
        k, code = self.k, self.k.code
        for at in code.range(0, self.sums):
            k.sums[at] = 0.0
        for y in code.range(k.first_row, k.last_row):
            above = self._rows_above(y)
            for index in code.range(0, ceil_div(k.columns, code.lanes)):
                self._latents(y, index * code.lanes, above)
        for wanted in code.range(0, self.sums if self.gradient else 1):
            k.totals.set_sum(wanted, k.sums[wanted])

    def _rows_above(self, y: AnyIndex) -> list[Numbers]:
        """Rows of the gradient by how far up they lie: in the frame, or in the halo."""
        k, reach = self.k, reach_of(self.offsets)
        start = y * k.stride
        above = [k.of_grid.at(start)]
        for up in range(1, reach + 1):
            own = k.of_grid.at(start - k.stride * up)
            line = y - k.first_row - up + reach
            other = k.halo.at(line * k.stride)
            above.append(pick(k.first_row + up <= y, own, other))
        return above

    def _latents(self, y: AnyIndex, x: AnyIndex, above: Sequence[Numbers]) -> None:
        """A vector of latents from column ``x`` on."""
        k, code = self.k, self.k.code
        at = y * k.stride + x
        seen = [k.grid.vector(at + k.stride * down + right) for down, right in self.offsets]
        at_coarser = (y >> 1) * k.coarser_stride + (x >> 1)
        coarser = k.coarser.vector(at_coarser)
        seen.append(interleave(coarser, coarser)[0])
        mean, scale = self._output(seen)
        valid = code.lanes_below(k.columns - x)
        deviation = k.grid.vector(at) - mean
        bits, of_deviation, of_scale = self.laplace.bits(deviation, scale)
        bits = where(valid, bits, 0.0)
        k.sums[0] += bits
        if not self.gradient:
            return
        of_deviation = where(valid, of_deviation, 0.0)
        of_scale = where(valid, of_scale, 0.0)  # so is what the coarser grid receives
        *received, of_coarser = self._backward(seen, -of_deviation, of_scale)
        even, odd = deinterleave(of_coarser, code.constant(0.0))
        k.of_coarser.set_vector(at_coarser, k.of_coarser.vector(at_coarser) + (even + odd))
        above[0].set_vector(x, above[0].vector(x) + of_deviation)
        for (down, right), value in zip(self.offsets, received, strict=True):
            row, place = above[-down], x + right
            row.set_vector(place, row.vector(place) + value)

    def _output(self, seen: Sequence[Vector]) -> tuple[Vector, Vector]:
        """Mean and binary logarithm of the scale, from what is seen; keeps the hidden units."""
        k, code = self.k, self.k.code
        mean, scale = code.variable(k.output_bias[0]), code.variable(k.output_bias[1])
        for j in code.range(0, k.width, mean, scale):
            total = k.hidden_bias[j]
            weights = k.hidden_weight.at(j * self.inputs)
            for i, value in enumerate(seen):
                total = fma(weights[i], value, total)
            total = maximum(total, 0.0)
            if self.gradient:
                k.hidden[j] = total
            second = k.output_weight[k.width + j]
            mean.value = fma(k.output_weight[j], total, mean.value)
            scale.value = fma(second, total, scale.value)
        return mean.value, scale.value

    def _backward(self, seen: Sequence[Vector], of_mean: Vector, of_scale: Vector) -> list[Vector]:
        """Gradients in what is seen; those in the weights are added to the sums."""
        k, code = self.k, self.k.code
        k.sums[self.output_bias] += of_mean
        k.sums[self.output_bias + 1] += of_scale
        received = [code.variable() for _ in seen]
        for j in code.range(0, k.width, *received):
            hidden = k.hidden[j]
            first, second = self.output_weight + j, self.output_weight + k.width + j
            k.sums[first] = fma(of_mean, hidden, k.sums[first])
            k.sums[second] = fma(of_scale, hidden, k.sums[second])
            of_hidden = fma(k.output_weight[k.width + j], of_scale, k.output_weight[j] * of_mean)
            of_hidden = where(hidden > 0.0, of_hidden, 0.0)
            k.sums[self.hidden_bias + j] += of_hidden
            weights = k.hidden_weight.at(j * self.inputs)
            row = 1 + j * self.inputs
            for i, value in enumerate(seen):
                k.sums[row + i] = fma(of_hidden, value, k.sums[row + i])
            for i, total in enumerate(received):
                total.value = fma(weights[i], of_hidden, total.value)
        return [total.value for total in received]


@dataclass(frozen=True)
class _Laplace:
    """A Laplace distribution that is integrated over half a unit to either side.

    Attributes:
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability.
    """

    octaves: tuple[float, float]
    least: float

    def bits(self, deviation: Vector, log_scale: Vector) -> tuple[Vector, Vector, Vector]:
        """Bits, and their derivatives by the deviation and by the binary logarithm of the scale."""
        low, high = self.octaves
        inverse = exp2(-minimum(maximum(log_scale, low), high))
        steepness = inverse * (-1 / log(2))  # of exponents of two
        distance = abs(deviation)
        beyond, outer = distance - 0.5, distance + 0.5
        near = exp2(abs(beyond) * steepness)
        far = exp2(outer * steepness)
        inside = distance < 0.5
        mass = where(inside, fma(-0.5, near + far, 1.0), 0.5 * (near - far))
        kept = mass < self.least
        mass = maximum(mass, self.least)
        bits = -log2(mass)
        # d bits / d mass, times the half that both derivatives of the mass have.
        slope = where(kept, 0.0, -0.5 / log(2) / mass)
        of_distance = -(slope * (inverse * (near - far)))
        of_deviation = where(deviation < 0.0, -of_distance, of_distance)
        of_inverse = slope * (outer * far - beyond * near)
        of_scale = of_inverse * (inverse * -log(2))
        for clipped in (log_scale < low, high < log_scale):
            of_scale = where(clipped, 0.0, of_scale)
        return bits, of_deviation, of_scale
