"""Kernel code around the single-qubit gates: angles, their SU(2) matrices, and back to gradients.

Overlaps ``Im⟨λ|σ|ψ⟩`` with X, Y and Z of a qubit after its gates hold the gradient of every one of them:
the gradient in an RX is the overlap with X at its place, and un-computing the RX turns the overlaps about
the X axis by its angle. So no matrix is ever differentiated.
"""

from __future__ import annotations

from quinr_pl.circuit.engines.cpu.arguments import Kernel
from quinr_pl.native.vectors import Array, Complex, Value


def prepare(k: Kernel) -> None:
    """Trigonometry of the weights, and matrices of the layers that embed nothing: the same for all blocks."""
    code = k.code
    code.store_complex((code.one, code.zero), k.trigonometry, k.angles)
    first = code.plus(k.angles, 1)

    def one(weight: Value) -> None:
        half = code.mul(code.load(k.weight, weight), code.constant(0.5))
        code.store_complex(code.cos_sin(half), k.trigonometry, code.plus(first, weight))

    code.loop(0, k.weights, one)
    code.loop(
        0, k.layers, lambda layer: code.unless(code.integer(k.embeds, layer), lambda: _matrices(k, layer))
    )
    for qubit in range(k.qubits):
        code.store_complex((code.one, code.zero), k.matrix(0, qubit), 1)


def embed(k: Kernel, block: Value, slopes: bool) -> None:
    """Trigonometry of half of each angle of a block, and matrices of the layers that embed.

    With ``slopes`` the derivatives of the angles by the argument of the sine, too.
    """
    code = k.code

    def given(column: Value) -> None:
        half = code.mul(k.read_x(block, column), code.constant(0.5))
        code.store_complex(code.cos_sin(half), k.trigonometry, column)

    def sine(column: Value) -> None:
        row = code.at(k.embedding, code.times(column, k.inputs))

        def accumulate(i: Value, total: Value) -> list[Value]:
            return [code.fma(code.load(row, i), code.load(k.inputs_block, i), total)]

        (linear,) = code.loop(0, k.inputs, accumulate, [code.load(k.bias, column)])
        cos, sin = code.cos_sin(code.mul(code.load(k.scales, 2), linear))
        half = code.mul(sin, code.load(k.scales, 0))
        code.store_complex(code.cos_sin(half), k.trigonometry, column)
        if slopes:
            code.store(code.mul(cos, code.load(k.scales, 1)), k.slopes, column)

    def all_sines() -> None:
        code.loop(0, k.inputs, lambda i: code.store(k.read_x(block, i), k.inputs_block, i))
        code.loop(0, k.angles, sine)

    code.choose(k.sine, all_sines, lambda: code.loop(0, k.angles, given))
    code.loop(
        0, k.layers, lambda layer: code.when(code.integer(k.embeds, layer), lambda: _matrices(k, layer))
    )


def _matrices(k: Kernel, layer: Value) -> None:
    """Matrices of a layer's rotations on every qubit."""
    code = k.code
    pairs = code.integer(k.pairs, layer)

    def one(qubit: Value) -> None:
        row = _row(k, layer, qubit)
        c, s = _half(k, row, 0)
        d, t = _half(k, row, 1)
        nt = code.neg(t)
        start = code.mul(d, c), code.neg(code.mul(d, s)), code.mul(nt, s), code.mul(nt, c)

        def pair(position: Value, *matrix: Value) -> list[Value]:
            ar, ai, br, bi = matrix
            turn = _half(k, row, code.times(position, 2))
            a, b = code.multiply(code.conj(turn), (ar, ai)), code.multiply(turn, (br, bi))
            c, s = _half(k, row, code.plus(code.times(position, 2), 1))
            ns = code.neg(s)
            return [
                code.dot((c, a[0]), (s, b[1])),
                code.dot((c, a[1]), (ns, b[0])),
                code.dot((c, b[0]), (s, a[1])),
                code.dot((c, b[1]), (ns, a[0])),
            ]

        ar, ai, br, bi = code.loop(1, pairs, pair, start)
        _decompose(k, layer, k.matrix(layer, qubit), (ar, ai), (br, bi))

    code.loop(0, k.qubits, one)


def _row(k: Kernel, layer: Value, qubit: Value) -> Value:
    return k.code.times(k.code.offset((layer, k.qubits), qubit), k.width)


def _half(k: Kernel, row: Value, position: Value) -> Complex:
    return k.code.load_complex(k.trigonometry, k.code.integer(k.columns, k.code.plus(row, position)))


def _decompose(k: Kernel, layer: Value, target: Array, a: Complex, b: Complex) -> None:
    """Write the factors of a matrix; of layer 0 its first column, as it acts on the zero state."""
    code = k.code

    def column() -> None:
        code.store_complex(a, target, 0)
        code.store_complex(b, target, 2)

    def factors() -> None:
        cos, p = _polar(k, a)
        sin, r = _polar(k, (code.neg(b[1]), b[0]))
        code.store(code.div(sin, code.add(code.one, cos)), target, 0)
        code.store(sin, target, 1)
        code.store_complex(code.multiply(r, code.conj(p)), target, 1)
        code.store_complex(code.conj(code.multiply(p, r)), target, 2)

    code.choose(layer, factors, column)


def _polar(k: Kernel, z: Complex) -> tuple[Value, Complex]:
    """Modulus and phase factor; the phase of 0 is 1."""
    code = k.code
    square = code.dot((z[0], z[0]), (z[1], z[1]))
    empty = code.builder.fcmp_ordered("<", square, code.constant(1e-30))
    inverse = code.reciprocal_sqrt(code.select(empty, code.one, square))
    phase = code.mul(z[0], inverse), code.mul(z[1], inverse)
    return code.mul(square, inverse), (
        code.select(empty, code.one, phase[0]),
        code.select(empty, code.zero, phase[1]),
    )


def gather(k: Kernel, layer: Value) -> None:
    """From the overlaps after a layer to gradients of its columns.

    A layer that embeds nothing only sums its overlaps: :func:`finish` does the rest for all blocks at once.
    """
    code = k.code

    def one(qubit: Value) -> None:
        x, y, z = (code.load(k.bloch, code.offset((qubit, 3), axis)) for axis in range(3))
        cos, sin = code.load_complex(k.matrix(layer, qubit), 1)
        x, y = code.dot((cos, x), (code.neg(sin), y)), code.dot((cos, y), (sin, x))

        def total() -> None:
            base = code.times(code.offset((layer, k.qubits), qubit), 3)
            for axis, value in enumerate((x, y, z)):
                code.add_to(k.bloch_sum, code.plus(base, axis), value)

        code.choose(code.integer(k.embeds, layer), lambda: _unwind(k, layer, qubit, x, y, z), total)

    code.loop(0, k.qubits, one)


def finish(k: Kernel) -> None:
    """Gradients of the layers that embed nothing."""
    code = k.code

    def one(layer: Value) -> None:
        def each(qubit: Value) -> None:
            base = code.times(code.offset((layer, k.qubits), qubit), 3)
            _unwind(k, layer, qubit, *(code.load(k.bloch_sum, code.plus(base, axis)) for axis in range(3)))

        code.unless(code.integer(k.embeds, layer), lambda: code.loop(0, k.qubits, each))

    code.loop(0, k.layers, one)


def _unwind(k: Kernel, layer: Value, qubit: Value, x: Value, y: Value, z: Value) -> None:
    code = k.code
    row, pairs = _row(k, layer, qubit), code.integer(k.pairs, layer)

    def pair(step: Value, x: Value, y: Value, z: Value) -> list[Value]:
        position = code.times(code.minus(code.minus(pairs, 1), step), 2)
        column, cos, sin = _whole(k, row, code.plus(position, 1))
        code.add_to(k.column_sum, column, x)
        y, z = code.dot((cos, y), (sin, z)), code.dot((cos, z), (code.neg(sin), y))
        column, cos, sin = _whole(k, row, position)
        code.add_to(k.column_sum, column, z)
        x, y = code.dot((cos, x), (sin, y)), code.dot((cos, y), (code.neg(sin), x))
        return [x, y, z]

    code.loop(0, pairs, pair, [x, y, z])


def _whole(k: Kernel, row: Value, position: Value) -> tuple[Value, Value, Value]:
    """Column, and cosine and sine of the whole angle."""
    code = k.code
    column = code.integer(k.columns, code.plus(row, position))
    c, s = code.load_complex(k.trigonometry, column)
    twice = code.add(s, s)
    return column, code.fma(code.neg(twice), s, code.one), code.mul(twice, c)


def unembed(k: Kernel, block: Value) -> None:
    """From gradients of the angles to those of the inputs and of the embedding."""
    code = k.code

    def given(column: Value) -> None:
        k.write(code.load(k.column_sum, column), k.x_gradient, block, column, k.angles)

    def sine(column: Value) -> None:
        slope = code.mul(code.load(k.column_sum, column), code.load(k.slopes, column))
        row = code.times(column, k.inputs)

        def one(i: Value) -> None:
            index = code.plus(row, i)
            x, total = code.load(k.inputs_block, i), code.load(k.embedding_sum, index)
            code.store(code.fma(slope, x, total), k.embedding_sum, index)

        code.loop(0, k.inputs, one)
        code.add_to(k.bias_sum, column, slope)
        code.store(slope, k.slopes, column)

    def all_sines() -> None:
        code.loop(0, k.angles, sine)
        code.when(k.input_gradient, lambda: _inputs(k, block))

    def all_given() -> None:
        code.when(k.input_gradient, lambda: code.loop(0, k.angles, given))

    code.choose(k.sine, all_sines, all_given)


def _inputs(k: Kernel, block: Value) -> None:
    code = k.code

    def one(i: Value) -> None:
        def accumulate(column: Value, total: Value) -> list[Value]:
            weight = code.load(k.embedding, code.offset((column, k.inputs), i))
            return [code.fma(weight, code.load(k.slopes, column), total)]

        (total,) = code.loop(0, k.angles, accumulate, [code.zero])
        k.write(total, k.x_gradient, block, i, k.inputs)

    code.loop(0, k.inputs, one)
