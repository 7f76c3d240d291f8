"""The context model as vector code: bits of a grid's latents, and the gradients of their sum in one pass.

A vector is sixteen latents of a row (eight in float64). Hidden units live for a few vectors only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from quinr_pl.native.arguments import Arguments
from quinr_pl.native.arrays import Numbers, Vectors, pick
from quinr_pl.native.code import Code, Program, Variable
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
    where,
)
from quinr_pl.ops.kernels.laplace import Laplace

Offsets = Sequence[tuple[int, int]]

TILE = 8
"""Vectors of a row that are worked on together: what is kept of all of them fits the first cache."""
_TOGETHER = 8
"""Units that a matrix of the second layer gives at a time: an input that is read serves all of them."""
_MOST_SUMS = 26
"""Sums that a loop keeps in registers."""


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
    second_weight: Numbers
    second_bias: Numbers
    output_weight: Numbers
    output_bias: Numbers
    hidden: Vectors
    """Of a thread: TILE vectors of each hidden unit, then of its gradient."""
    second: Vectors
    """Of a thread: the same of the second hidden layer."""
    seen: Vectors
    """Of a thread: TILE vectors of each input of the model."""
    of_output: Vectors
    """Of a thread: derivatives by mean and logarithm of the scale, TILE vectors of either in turn."""
    received: Numbers
    """Of a thread: a line for the gradients in each input of a row, and one for those in its own latents."""
    sums: Vectors
    halo: Numbers
    of_grid: Numbers
    of_coarser: Numbers
    totals: Numbers
    """Sums: bits, then gradients of the weights and biases in the order of the layers."""


def reach_of(offsets: Offsets) -> int:
    """Rows up and columns to either side that neighbours lie within."""
    return max(max(-down, abs(right)) for down, right in offsets)


def received_numbers(neighbours: int, columns: int, lanes: int) -> int:
    """Numbers of ``received``."""
    return (neighbours + 2) * lanes * (-(-columns // lanes) + 2)


def sums_count(neighbours: int, width: int, second: int = 0) -> int:
    """How many sums a kernel takes; see `build`."""
    return 1 + width * (neighbours + 2) + second * (width + 1) + 2 * (width + 1)


def build(
    offsets: Offsets, octaves: tuple[float, float], least: float, second: int, precision: Precision
) -> Program:
    """The kernels ``forward`` and ``gradient``.

    Args:
        offsets: Rows down and columns right of the neighbours.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability of an integer.
        second: Units of the second hidden layer, as many as the first one has; 0 without one.
        precision: The number format.
    """

    def emit(code: Code, gradient: bool) -> None:
        _Grid(Kernel(code), offsets, Laplace(octaves, least), second, gradient).emit()

    return Program(
        "context",
        precision,
        {"forward": partial(emit, gradient=False), "gradient": partial(emit, gradient=True)},
    )


@dataclass(frozen=True)
class _Hidden:
    """A hidden layer under construction.

    Attributes:
        units: TILE vectors of each unit, then of its gradient.
        inputs: TILE vectors of each input.
        input_count: Number of inputs.
        matrix: Where the gradients of the matrix begin in the sums.
        bias: Where those of the bias do.
    """

    units: Vectors
    inputs: Vectors
    input_count: int
    matrix: AnyIndex
    bias: AnyIndex


class _Grid:
    """One of the kernels under construction.

    Args:
        k: Arguments of the kernel.
        offsets: Rows down and columns right of the neighbours.
        laplace: The distribution of the latents.
        second: Units of the second hidden layer; 0 without one.
        gradient: Whether gradients are wanted.
    """

    def __init__(self, k: Kernel, offsets: Offsets, laplace: Laplace, second: int, gradient: bool) -> None:
        self.k, self.offsets, self.laplace, self.gradient = k, offsets, laplace, gradient
        self.second = second
        self.inputs = len(offsets) + 1
        bias = 1 + k.width * self.inputs
        self.layers = [_Hidden(k.hidden, k.seen, self.inputs, 1, bias)]
        self.output_weight = bias + k.width
        if second:
            self.layers.append(
                _Hidden(k.second, k.hidden, second, self.output_weight, self.output_weight + second * second)
            )
            self.output_weight = self.output_weight + second * (second + 1)
        self.output_bias = self.output_weight + k.width * 2
        self.sums = self.output_bias + 2

    def emit(self) -> None:
        """Code of all rows."""
        k, code = self.k, self.k.code
        for at in code.range(0, self.sums):
            k.sums[at] = 0.0
        blocks = ceil_div(k.columns, code.lanes)
        if self.gradient:
            for line in code.range(0, self.inputs + 1):
                k.received.set_vector(self._line(line) + -code.lanes, 0.0)
                k.received.set_vector(self._line(line + 1) + -2 * code.lanes, 0.0)
        for y in code.range(k.first_row, k.last_row):
            tiles = ceil_div(blocks, TILE)
            for tile in code.range(0, tiles):
                first = blocks * tile // tiles
                self._tile(y, first, blocks * (tile + 1) // tiles - first)
            if self.gradient:
                self._spread(y)
        for wanted in code.range(0, self.sums if self.gradient else 1):
            k.totals.set_sum(wanted, k.sums[wanted])

    def _tile(self, y: AnyIndex, first: AnyIndex, count: AnyIndex) -> None:
        """Some vectors of a row, from one on; with gradients, those of the weights by hidden units."""
        k, code = self.k, self.k.code
        for v in code.range(0, count):
            self._bits(y, (first + v) * code.lanes, v)
        if not self.gradient:
            return
        for j in code.range(0, k.width):
            self._of_weights(count, j, self.layers[-1])
        if self.second:
            for v in code.range(0, count):
                self._of_hidden(v)
            for j in code.range(0, k.width):
                self._of_weights(count, j, self.layers[0])
        for v in code.range(0, count):
            self._of_latents((first + v) * code.lanes, v)

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

    def _seen(self, y: AnyIndex, x: AnyIndex) -> list[Vector]:
        """What a vector of latents from column ``x`` on is predicted from."""
        k = self.k
        at = y * k.stride + x
        seen = [k.grid.vector(at + k.stride * down + right) for down, right in self.offsets]
        coarser = k.coarser.vector(self._at_coarser(y, x))
        return [*seen, interleave(coarser, coarser)[0]]

    def _at_coarser(self, y: AnyIndex, x: AnyIndex) -> AnyIndex:
        return (y >> 1) * self.k.coarser_stride + (x >> 1)

    def _bits(self, y: AnyIndex, x: AnyIndex, v: AnyIndex) -> None:
        """Bits of a vector of latents from column ``x`` on, the tile's number ``v``; keeps derivatives."""
        k, code = self.k, self.k.code
        seen = self._seen(y, x)
        if self.gradient:  # rows of the grid begin anywhere in a line of the cache
            for i, value in enumerate(seen):
                k.seen[i * TILE + v] = value
        mean, scale = self._output(seen, v)
        valid = code.lanes_below(k.columns - x)
        deviation = k.grid.vector(y * k.stride + x) - mean
        bits, of_deviation, of_scale = self.laplace.bits(deviation, scale)
        bits = where(valid, bits, 0.0)
        k.sums[0] += bits
        if not self.gradient:
            return
        of_mean = -where(valid, of_deviation, 0.0)
        of_scale = where(valid, of_scale, 0.0)  # so is what the coarser grid receives
        k.of_output[v * 2], k.of_output[v * 2 + 1] = of_mean, of_scale
        k.sums[self.output_bias] += of_mean
        k.sums[self.output_bias + 1] += of_scale

    def _output(self, seen: Sequence[Vector], v: AnyIndex) -> tuple[Vector, Vector]:
        """Mean and binary logarithm of the scale, from what is seen; keeps the hidden units."""
        k, code = self.k, self.k.code
        mean, scale = code.variable(k.output_bias[0]), code.variable(k.output_bias[1])

        def add(j: AnyIndex, unit: Vector) -> None:
            mean.value = fma(k.output_weight[j], unit, mean.value)
            scale.value = fma(k.output_weight[k.width + j], unit, scale.value)

        for j in code.range(0, k.width, mean, scale):
            total = k.hidden_bias[j]
            weights = k.hidden_weight.at(j * self.inputs)
            for i, value in enumerate(seen):
                total = fma(weights[i], value, total)
            total = maximum(total, 0.0)
            if self.gradient or self.second:
                k.hidden[j * TILE + v] = total
            if not self.second:
                add(j, total)
        for first, count in self._together(mean, scale):
            own = (k.second_bias[first + b] + k.hidden[(first + b) * TILE + v] for b in range(count))
            totals = [code.variable(value) for value in own]
            for j in code.range(0, k.width, *totals):
                before = k.hidden[j * TILE + v]
                for b, each in enumerate(totals):
                    each.value = fma(k.second_weight[(first + b) * self.second + j], before, each.value)
            for b, each in enumerate(totals):
                unit = maximum(each.value, 0.0)
                if self.gradient:
                    k.second[(first + b) * TILE + v] = unit
                add(first + b, unit)
        return mean.value, scale.value

    def _together(self, *changed: Variable) -> Iterator[tuple[AnyIndex, int]]:
        """The first of units of the second layer that are worked on together, and how many they are."""
        whole, rest = divmod(self.second, _TOGETHER)
        for block in self.k.code.range(0, whole, *changed):
            yield block * _TOGETHER, _TOGETHER
        if rest:
            yield whole * _TOGETHER, rest

    def _of_weights(self, count: AnyIndex, j: AnyIndex, layer: _Hidden) -> None:
        """What a tile adds to the gradients of a hidden unit's weights, whose sums stay in registers.

        Those that the output multiplies it with are among them if its layer is the last one. There the unit's
        own gradient takes its place; in other layers it lies there.
        """
        k, code = self.k, self.k.code
        row = layer.matrix + j * layer.input_count
        for start in range(0, layer.input_count, _MOST_SUMS):
            inputs = range(start, min(start + _MOST_SUMS, layer.input_count))
            last = start == 0 and layer is self.layers[-1]
            of_outputs = [self.output_weight + j, self.output_weight + k.width + j] if last else []
            of_bias = [] if start else [layer.bias + j]
            places = [*of_outputs, *of_bias, *(row + i for i in inputs)]
            totals = [code.variable(k.sums[place]) for place in places]
            biases, of_inputs = totals[len(of_outputs) : -len(inputs)], totals[-len(inputs) :]
            for v in code.range(0, count, *totals):
                of_unit = self._of_unit(j, v, layer, *totals[:2]) if last else layer.units[j * TILE + v]
                for total in biases:
                    total.value += of_unit
                for i, total in zip(inputs, of_inputs, strict=True):
                    total.value = fma(of_unit, layer.inputs[i * TILE + v], total.value)
            for place, total in zip(places, totals, strict=True):
                k.sums[place] = total.value

    def _of_unit(
        self, j: AnyIndex, v: AnyIndex, layer: _Hidden, of_mean_total: Variable, of_scale_total: Variable
    ) -> Vector:
        """Gradient of a vector's unit by those of the output, in its place; adds to those of its weights."""
        k, place = self.k, j * TILE + v
        unit, of_mean, of_scale = layer.units[place], k.of_output[v * 2], k.of_output[v * 2 + 1]
        of_mean_total.value = fma(of_mean, unit, of_mean_total.value)
        of_scale_total.value = fma(of_scale, unit, of_scale_total.value)
        of_unit = fma(k.output_weight[k.width + j], of_scale, k.output_weight[j] * of_mean)
        layer.units[place] = where(unit > 0.0, of_unit, 0.0)
        return layer.units[place]

    def _of_hidden(self, v: AnyIndex) -> None:
        """Gradients of a vector's units of the first layer, by those of the second, in their place."""
        k, code = self.k, self.k.code
        for first, count in self._together():
            totals = [code.variable(k.second[(first + b) * TILE + v]) for b in range(count)]
            for j in code.range(0, k.width, *totals):
                of_unit = k.second[j * TILE + v]
                for b, total in enumerate(totals):
                    total.value = fma(k.second_weight[j * self.second + (first + b)], of_unit, total.value)
            for b, total in enumerate(totals):
                place = (first + b) * TILE + v
                k.hidden[place] = where(k.hidden[place] > 0.0, total.value, 0.0)

    def _of_latents(self, x: AnyIndex, v: AnyIndex) -> None:
        """Gradients of a vector of latents and of all that they are predicted from, into ``received``."""
        k, code = self.k, self.k.code
        totals = [code.variable() for _ in range(self.inputs)]
        for j in code.range(0, k.width, *totals):
            weights, of_hidden = k.hidden_weight.at(j * self.inputs), k.hidden[j * TILE + v]
            for i, total in enumerate(totals):
                total.value = fma(weights[i], of_hidden, total.value)
        for line, value in enumerate((*(total.value for total in totals), -k.of_output[v * 2])):
            k.received.set_vector(self._line(line) + x, value)

    def _line(self, line: AnyIndex) -> AnyIndex:
        """Where column 0 of a line of ``received`` lies; before and after each line there are zeros."""
        lanes = self.k.code.lanes
        return (ceil_div(self.k.columns, lanes) * lanes + 2 * lanes) * line + lanes

    def _spread(self, y: AnyIndex) -> None:
        """Adds what a row gives to the gradients of the rows that it is predicted from.

        Row by row: added to vector by vector, places that overlap would have to wait for one another.
        """
        k, lanes = self.k, self.k.code.lanes
        reach = reach_of(self.offsets)
        places = (*self.offsets, None, (0, 0))  # as lines are ordered: the coarser grid's is not among them
        for up, row in enumerate(self._rows_above(y)):
            lines = [(line, place[1]) for line, place in enumerate(places) if place and place[0] == -up]
            for index in k.code.range(0, ceil_div(k.columns + 2 * reach, lanes)):
                x = index * lanes + -reach
                total = row.vector(x)
                for line, right in lines:
                    total += k.received.vector(self._line(line) + (x + -right))
                row.set_vector(x, total)
        coarser, start = self._line(len(self.offsets)), (y >> 1) * k.coarser_stride
        for index in k.code.range(0, ceil_div(k.columns, 2 * lanes)):
            pair = (k.received.vector(coarser + index * (2 * lanes) + part) for part in (0, lanes))
            even, odd = deinterleave(*pair)
            at = start + index * lanes
            k.of_coarser.set_vector(at, k.of_coarser.vector(at) + (even + odd))
