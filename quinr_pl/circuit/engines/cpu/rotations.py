"""Kernel code around the single-qubit gates: angles, their SU(2) matrices, and back to gradients.

Overlaps ``Im⟨λ|σ|ψ⟩`` with X, Y and Z of a qubit after its gates hold the gradient of every one of them:
the gradient in an RX is the overlap with X at its place, and un-computing the RX turns the overlaps about
the X axis by its angle. So no matrix is ever differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from quinr_pl.circuit.engines.cpu.arguments import Kernel
from quinr_pl.native.arrays import Vectors
from quinr_pl.native.mathematics import cos_sin, reciprocal_sqrt, small_cos_sin
from quinr_pl.native.values import AnyIndex, Complex, Index, Vector, dot, fma, where


def prepare(k: Kernel) -> None:
    """Trigonometry of the weights, and matrices of the layers that embed nothing: the same for all blocks."""
    code = k.code
    k.trigonometry[k.angles] = code.complex(1.0, 0.0)
    first = k.angles + 1
    for weight in code.range(0, k.weights):
        k.trigonometry[first + weight] = cos_sin(k.weight[weight] * 0.5)
    for layer in code.range(0, k.layers):
        code.when(k.embeds[layer].is_zero(), partial(_matrices, k, layer))
    for qubit in range(k.qubits):
        k.matrix(0, qubit).complexes()[1] = code.complex(1.0, 0.0)


def embed(k: Kernel, block: AnyIndex, slopes: bool) -> None:
    """Trigonometry of half of each angle of a block, and matrices of the layers that embed.

    With ``slopes`` the derivatives of the angles by the argument of the sine, too.
    """
    code = k.code

    def given() -> None:
        for column in code.range(0, k.angles):
            k.trigonometry[column] = cos_sin(k.read_x(block, column) * 0.5)

    def sines() -> None:
        for i in code.range(0, k.inputs):
            k.inputs_block[i] = k.read_x(block, i)
        code.choose(k.small.is_not_zero(), partial(angles, small_cos_sin), partial(angles, cos_sin))

    def angles(trigonometry: Callable[[Vector], Complex]) -> None:
        for column in code.range(0, k.angles):
            _sine(k, column, slopes, trigonometry)

    code.choose(k.sine.is_not_zero(), sines, given)
    for layer in code.range(0, k.layers):
        code.when(k.embeds[layer].is_not_zero(), partial(_matrices, k, layer))


def _sine(k: Kernel, column: AnyIndex, slopes: bool, trigonometry: Callable[[Vector], Complex]) -> None:
    """Trigonometry of half of an angle that is a sine of the inputs."""
    row = k.embedding.at(column * k.inputs)
    linear = k.code.variable(k.bias[column])
    for i in k.code.range(0, k.inputs, linear):
        linear.value = fma(row[i], k.inputs_block[i], linear.value)
    cos, sin = cos_sin(k.scales[2] * linear.value)
    k.trigonometry[column] = trigonometry(sin * k.scales[0])
    if slopes:
        k.slopes[column] = cos * k.scales[1]


def _matrices(k: Kernel, layer: Index) -> None:
    """Matrices of a layer's rotations on every qubit."""
    code = k.code
    pairs = k.pairs[layer]
    for qubit in code.range(0, k.qubits):
        row = _row(k, layer, qubit)
        c, s = _half(k, row, 0)
        d, t = _half(k, row, 1)
        nt = -t
        matrix = [code.variable(start) for start in (d * c, -(d * s), nt * s, nt * c)]
        for position in code.range(1, pairs, *matrix):
            ar, ai, br, bi = (entry.value for entry in matrix)
            turn = _half(k, row, position * 2)
            a, b = turn.conj() * Complex(ar, ai), turn * Complex(br, bi)
            c, s = _half(k, row, position * 2 + 1)
            ns = -s
            matrix[0].value = dot((c, a.real), (s, b.imag))
            matrix[1].value = dot((c, a.imag), (ns, b.real))
            matrix[2].value = dot((c, b.real), (s, a.imag))
            matrix[3].value = dot((c, b.imag), (ns, a.real))
        ar, ai, br, bi = (entry.value for entry in matrix)
        _decompose(k, layer, k.matrix(layer, qubit), Complex(ar, ai), Complex(br, bi))


def _row(k: Kernel, layer: AnyIndex, qubit: AnyIndex) -> AnyIndex:
    return (layer * k.qubits + qubit) * k.width


def _half(k: Kernel, row: AnyIndex, position: AnyIndex) -> Complex:
    """Cosine and sine of half the angle at a position of a row of ``columns``."""
    return k.trigonometry[k.columns[row + position]]


def _decompose(k: Kernel, layer: Index, target: Vectors, a: Complex, b: Complex) -> None:
    """Write the factors of a matrix; of layer 0 its first column, as it acts on the zero state."""
    pairs = target.complexes()

    def column() -> None:
        pairs[0] = a
        pairs[2] = b

    def factors() -> None:
        cos, p = _polar(a)
        sin, r = _polar(Complex(-b.imag, b.real))
        target[0] = sin / (1.0 + cos)
        target[1] = sin
        pairs[1] = r * p.conj()
        pairs[2] = (p * r).conj()

    k.code.choose(layer.is_not_zero(), factors, column)


def _polar(z: Complex) -> tuple[Vector, Complex]:
    """Modulus and phase factor; the phase of 0 is 1."""
    square = z.squared()
    empty = square < 1e-30
    inverse = reciprocal_sqrt(where(empty, 1.0, square))
    real, imag = z.real * inverse, z.imag * inverse
    return square * inverse, Complex(where(empty, 1.0, real), where(empty, 0.0, imag))


def gather(k: Kernel, layer: AnyIndex) -> None:
    """From the overlaps after a layer to gradients of its columns.

    A layer that embeds nothing only sums its overlaps: :func:`finish` does the rest for all blocks at once.
    """
    for qubit in k.code.range(0, k.qubits):
        x, y, z = (k.bloch[qubit * 3 + axis] for axis in range(3))
        cos, sin = k.matrix(layer, qubit).complexes()[1]
        x, y = dot((cos, x), (-sin, y)), dot((cos, y), (sin, x))
        k.code.choose(
            k.embeds[layer].is_not_zero(),
            partial(_unwind, k, layer, qubit, x, y, z),
            partial(_add_overlaps, k, layer, qubit, (x, y, z)),
        )


def _add_overlaps(k: Kernel, layer: AnyIndex, qubit: AnyIndex, overlaps: tuple[Vector, ...]) -> None:
    base = (layer * k.qubits + qubit) * 3
    for axis, value in enumerate(overlaps):
        k.bloch_sum[base + axis] += value


def finish(k: Kernel) -> None:
    """Gradients of the layers that embed nothing."""

    def unwind(layer: AnyIndex) -> None:
        for qubit in k.code.range(0, k.qubits):
            base = (layer * k.qubits + qubit) * 3
            x, y, z = (k.bloch_sum[base + axis] for axis in range(3))
            _unwind(k, layer, qubit, x, y, z)

    for layer in k.code.range(0, k.layers):
        k.code.when(k.embeds[layer].is_zero(), partial(unwind, layer))


def _unwind(k: Kernel, layer: AnyIndex, qubit: AnyIndex, *overlaps: Vector) -> None:
    """From the overlaps after a qubit's gates with X, Y and Z to gradients of the gates' columns."""
    row, pairs = _row(k, layer, qubit), k.pairs[layer]
    x, y, z = (k.code.variable(overlap) for overlap in overlaps)
    for step in k.code.range(0, pairs, x, y, z):
        position = (pairs - 1 - step) * 2
        column, cos, sin = _whole(k, row, position + 1)
        k.column_sum[column] += x.value
        y.value, z.value = dot((cos, y.value), (sin, z.value)), dot((cos, z.value), (-sin, y.value))
        column, cos, sin = _whole(k, row, position)
        k.column_sum[column] += z.value
        x.value, y.value = dot((cos, x.value), (sin, y.value)), dot((cos, y.value), (-sin, x.value))


def _whole(k: Kernel, row: AnyIndex, position: AnyIndex) -> tuple[Index, Vector, Vector]:
    """Column, and cosine and sine of the whole angle."""
    column = k.columns[row + position]
    c, s = k.trigonometry[column]
    twice = s + s
    return column, fma(-twice, s, 1.0), twice * c


def unembed(k: Kernel, block: AnyIndex) -> None:
    """From gradients of the angles to those of the inputs and of the embedding."""
    code = k.code

    def sines() -> None:
        for column in code.range(0, k.angles):
            _of_sine(k, column)
        _of_skip(k)
        code.when(k.input_gradient.is_not_zero(), partial(_of_inputs, k, block))

    def given() -> None:
        code.when(k.input_gradient.is_not_zero(), partial(_of_angles, k, block))

    code.choose(k.sine.is_not_zero(), sines, given)


def _of_sine(k: Kernel, column: AnyIndex) -> None:
    """Gradients in a row of the embedding and its bias; that in the sine's argument goes to ``slopes``."""
    slope = k.column_sum[column] * k.slopes[column]
    row = column * k.inputs
    for i in k.code.range(0, k.inputs):
        k.embedding_sum[row + i] = fma(slope, k.inputs_block[i], k.embedding_sum[row + i])
    k.bias_sum[column] += slope
    k.slopes[column] = slope


def _of_skip(k: Kernel) -> None:
    """Gradients in the matrix past the circuit, and in what is added to the outputs."""
    for o in k.code.range(0, k.skipped):
        for i in k.code.range(0, k.inputs):
            at = o * k.inputs + i
            k.skip_sum[at] = fma(k.outputs_block[o], k.inputs_block[i], k.skip_sum[at])
    for o in k.code.range(0, k.offsets):
        k.offset_sum[o] += k.outputs_block[o]


def _of_angles(k: Kernel, block: AnyIndex) -> None:
    for column in k.code.range(0, k.angles):
        k.write_x_gradient(k.column_sum[column], block, column)


def _of_inputs(k: Kernel, block: AnyIndex) -> None:
    for i in k.code.range(0, k.inputs):
        total = k.code.variable()
        for column in k.code.range(0, k.angles, total):
            weight = k.embedding[column * k.inputs + i]
            total.value = fma(weight, k.slopes[column], total.value)
        for o in k.code.range(0, k.skipped, total):
            total.value = fma(k.skip[o * k.inputs + i], k.outputs_block[o], total.value)
        k.write_x_gradient(total.value, block, i)
