"""The two kernels of the CPU engine, forward and backward, as LLVM code for one number of qubits.

A kernel works through blocks of as many coordinates as a vector has lanes, so that an amplitude of a block
is two vectors and a gate is a handful of multiply-adds on them. What the kernels compute is laid out in
:mod:`quinr_pl.circuit.cpu_plan`; in short, between diagonals every qubit has one SU(2) matrix, written

    diag(1, e^{iα}) · RX · diag(1, e^{iγ})        (up to a global phase)

whose diagonals join those of the CRZ gates, and whose RX is three shears of (re, im) pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from quinr_pl.circuit.cpu_vectors import INDEX, Array, Complex, Emitter, Precision, Value

ARGUMENTS = (
    # sizes
    "first_block", "last_block", "stride", "inputs", "columns", "outputs", "layers", "fold_pairs",
    "sine", "state_stride", "input_gradient", "readout_gradient",
    # tables of the circuit (integers, then numbers)
    "upload_of", "column_of", "before", "after", "rotation_after", "phases",
    # the layer around the circuit
    "x", "embedding", "readout", "scales",
    # batch-sized results and what backward takes up
    "y", "state", "cotangent", "x_gradient", "angle_gradient",
    # scratch of one thread
    "trigonometry", "slopes", "coefficients", "table", "diagonal", "pairs", "bloch", "column_gradient",
    # sums over coordinates
    "phase_sum", "bloch_after", "bloch_before", "embedding_sum", "readout_sum", "sums_count", "totals",
)  # fmt: skip
"""Names of the 64-bit arguments, in order: integers, and addresses of arrays."""

_NUMBERS = {"before", "after", "rotation_after", "phases", "embedding", "readout", "scales", "totals"}
_INTEGERS = {"upload_of", "column_of"}
_SIZES = {*ARGUMENTS[:12], "sums_count"}
COEFFICIENTS = 6
"""Vectors for one matrix: tan(φ/2), sin φ, e^{iα}, e^{iγ}; for the first layer a, -, -, b in pairs."""


def forward_group(qubits: int) -> list[range]:
    """Qubits whose RX share one pass over the state: three at a time fill the vector registers."""
    return [range(first, min(first + 3, qubits)) for first in range(0, qubits, 3)]


def backward_group(qubits: int) -> list[range]:
    """As in the forward pass, two at a time: state and cotangent share the registers."""
    return [range(first, min(first + 2, qubits)) for first in range(0, qubits, 2)]


class Kernel:
    """Emits one kernel.

    Args:
        module: Where the function goes.
        name: Its name.
        qubits: Number of qubits.
        precision: The format of its numbers.
    """

    def __init__(self, module: ir.Module, name: str, qubits: int, precision: Precision) -> None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.PointerType()]), name)
        self.code = Emitter(function, precision)
        self.qubits = qubits
        self.states = 1 << qubits
        builder = self.code.builder
        for position, argument in enumerate(ARGUMENTS):
            value = self.code.integer(function.args[0], position)
            if argument not in _SIZES:
                value = builder.inttoptr(value, ir.PointerType())
                value = value if argument in _INTEGERS else Array(value, argument in _NUMBERS)
            setattr(self, argument, value)

    # Embedding ----------------------------------------------------------------------------------------

    def embed(self, block: Value, slopes: bool) -> None:
        """Cosine and sine of half of each angle of a block; in the backward pass also dangle/dargument."""
        code = self.code

        def given(column: Value) -> None:
            half = code.mul(code.load(self.x, code.offset((column, self.stride), block)), code.constant(0.5))
            code.store_complex(code.cos_sin(half), self.trigonometry, column)

        def sine(column: Value) -> None:
            width = code.plus(self.inputs, 1)
            row = code.at(self.embedding, code.times(column, width))

            def accumulate(i: Value, total: Value) -> list[Value]:
                x = code.load(self.x, code.offset((i, self.stride), block))
                return [code.fma(code.load(row, i), x, total)]

            (argument,) = code.loop(0, self.inputs, accumulate, [code.load(row, self.inputs)])
            cos, sin = code.cos_sin(argument)
            code.store_complex(
                code.cos_sin(code.mul(sin, code.load(self.scales, 0))), self.trigonometry, column
            )
            if slopes:
                code.store(code.mul(cos, code.load(self.scales, 1)), self.slopes, column)

        with code.builder.if_else(code.builder.icmp_signed("!=", self.sine, ir.Constant(INDEX, 0))) as (
            then,
            otherwise,
        ):
            with then:
                code.loop(0, self.columns, sine)
            with otherwise:
                code.loop(0, self.columns, given)

    def chain(self, layer: Value) -> None:
        """Matrices of a layer that embeds, one for each qubit, into ``coefficients``."""
        code = self.code
        upload = code.integer(self.upload_of, layer)

        def qubit(q: Value) -> None:
            row = code.offset((upload, self.qubits), q)
            before, after = (code.at(array, code.times(row, 4)) for array in (self.before, self.after))
            columns = code.times(row, code.times(self.fold_pairs, 2))

            def folds(f: Value, *matrix: Value) -> Sequence[Value]:
                c, s = self._fold(columns, f, 0)
                ar, ai, br, bi = matrix
                ns = code.neg(s)
                ar, ai, br, bi = (
                    code.dot((c, ar), (s, bi)),
                    code.dot((c, ai), (ns, br)),
                    code.dot((c, br), (s, ai)),
                    code.dot((c, bi), (ns, ar)),
                )
                c, s = self._fold(columns, f, 1)
                turn = c, code.neg(s)
                return *code.multiply(turn, (ar, ai)), *code.multiply((c, s), (br, bi))

            start = [code.load(before, k) for k in range(4)]
            ar, ai, br, bi = code.loop(0, self.fold_pairs, folds, start)
            c, d = code.load_complex(after, 0), code.load_complex(after, 1)
            a, b = (ar, ai), (br, bi)
            a, b = (
                self._minus(code.multiply(c, a), code.multiply(code.conj(d), b)),
                self._sum(code.multiply(d, a), code.multiply(code.conj(c), b)),
            )
            self._decompose(layer, q, a, b)

        code.loop(0, self.qubits, qubit)

    def _fold(self, columns: Value, f: Value, parity: int) -> Complex:
        column = self.code.integer(self.column_of, self.code.offset(columns, (f, 2), parity))
        return self.code.load_complex(self.trigonometry, column)

    def _minus(self, a: Complex, b: Complex) -> Complex:
        return self.code.sub(a[0], b[0]), self.code.sub(a[1], b[1])

    def _sum(self, a: Complex, b: Complex) -> Complex:
        return self.code.add(a[0], b[0]), self.code.add(a[1], b[1])

    def _decompose(self, layer: Value, q: Value, a: Complex, b: Complex) -> None:
        code = self.code
        target = self._matrix(layer, q)

        def product() -> None:
            code.store_complex(a, target, 0)
            code.store_complex(b, target, 2)

        def factors() -> None:
            cos, p = self._polar(a)
            sin, r = self._polar((code.neg(b[1]), b[0]))
            code.store(code.div(sin, code.add(code.one, cos)), target, 0)
            code.store(sin, target, 1)
            code.store_complex(code.multiply(r, code.conj(p)), target, 1)
            code.store_complex(code.conj(code.multiply(p, r)), target, 2)

        with code.builder.if_else(code.builder.icmp_signed("==", layer, ir.Constant(INDEX, 0))) as (
            then,
            otherwise,
        ):
            with then:
                product()
            with otherwise:
                factors()

    def _polar(self, z: Complex) -> tuple[Value, Complex]:
        """Modulus and phase factor; the phase of 0 is 1."""
        code = self.code
        square = code.dot((z[0], z[0]), (z[1], z[1]))
        empty = code.builder.fcmp_ordered("<", square, code.constant(1e-30))
        modulus = code.sqrt(square)
        inverse = code.div(code.one, code.select(empty, code.one, modulus))
        phase = code.mul(z[0], inverse), code.mul(z[1], inverse)
        return modulus, (code.select(empty, code.one, phase[0]), code.select(empty, code.zero, phase[1]))

    def _matrix(self, layer: Value, q: Value) -> Array:
        return self.code.at(
            self.coefficients, self.code.times(self.code.offset((layer, self.qubits), q), COEFFICIENTS)
        )

    # Passes over the state ----------------------------------------------------------------------------

    def product_state(self, state: Array) -> None:
        """State after the first layer: the product of its columns (a, b)."""
        code = self.code
        columns = []
        for q in range(self.qubits):
            matrix = self._matrix(0, q)
            columns.append((code.load_complex(matrix, 0), code.load_complex(matrix, 2)))
        for pattern, bit in enumerate(columns[-1]):
            code.store_complex(bit, state, pattern)
        for level in range(1, self.qubits):
            a, b = columns[self.qubits - 1 - level]

            def double(j: Value, a: Complex = a, b: Complex = b, half: int = 1 << level) -> None:
                z = code.load_complex(state, j)
                code.store_complex(code.multiply(b, z), state, code.plus(j, half))
                code.store_complex(code.multiply(a, z), state, j)

            code.loop(0, 1 << level, double, unroll=4)

    def _omega(self, layer: Value, q: Value) -> Complex:
        """Phase of qubit q at 1 on the way from one layer's RX to the next."""
        code = self.code
        previous = self._matrix(code.plus(layer, -1), q)
        return code.multiply(code.load_complex(previous, 1), code.load_complex(self._matrix(layer, q), 2))

    def _phase_products(self, layer: Value, qubits: range) -> list[Complex | None]:
        """Phases of every pattern of the qubits; None for 1."""
        code = self.code
        products: list[Complex | None] = [None]
        for q in qubits:
            omega = self._omega(layer, q)
            products = [
                product
                for low in products
                for product in (low, omega if low is None else code.multiply(low, omega))
            ]
        return products

    def _positions(self, group: range, rest: Value) -> list[Value]:
        """Basis states of every pattern of a group of qubits, the other qubits being at ``rest``."""
        code, low = self.code, self.qubits - group.stop
        if isinstance(rest, int):
            base: Value = (rest >> low << (low + len(group))) | (rest & ((1 << low) - 1))
        else:
            builder = code.builder
            high = builder.lshr(rest, code.index(low))
            base = builder.or_(
                builder.shl(high, code.index(low + len(group))),
                builder.and_(rest, code.index((1 << low) - 1)),
            )
        return [code.plus(base, pattern << low) for pattern in range(1 << len(group))]

    def _shear(self, amplitudes: list[Complex], bit: int, tan: Value, sin: Value) -> None:
        """RX(2φ) on a bit of the pattern in registers; tan is tan(φ/2), and both are negated for RX(-2φ)."""
        code, minus = self.code, self.code.neg(sin)
        for low in range(len(amplitudes)):
            if low & bit:
                continue
            (x, y), (u, v) = amplitudes[low], amplitudes[low | bit]
            x, u = code.fma(tan, v, x), code.fma(tan, y, u)
            v, y = code.fma(minus, x, v), code.fma(minus, u, y)
            x, u = code.fma(tan, v, x), code.fma(tan, y, u)
            amplitudes[low], amplitudes[low | bit] = (x, y), (u, v)

    def advance(self, layer: Value, state: Array) -> None:
        """The diagonal before a layer, then the layer's RX on every qubit."""
        code = self.code
        for number, group in enumerate(forward_group(self.qubits)):
            products = self._phase_products(layer, group)
            turns = [(code.load(m, 0), code.load(m, 1)) for m in (self._matrix(layer, q) for q in group)]

            def sweep(
                rest: Value,
                group: range = group,
                products: list = products,
                turns: list = turns,
                shared: bool = number == 0,
            ) -> None:
                positions = self._positions(group, rest)
                amplitudes = [code.load_complex(state, j) for j in positions]
                if shared:
                    amplitudes = [
                        code.multiply(z, self._shared_phase(layer, j))
                        for z, j in zip(amplitudes, positions, strict=True)
                    ]
                amplitudes = [
                    z if phase is None else code.multiply(z, phase)
                    for z, phase in zip(amplitudes, products, strict=True)
                ]
                for k, (tan, sin) in enumerate(turns):
                    self._shear(amplitudes, 1 << (len(group) - 1 - k), tan, sin)
                for z, j in zip(amplitudes, positions, strict=True):
                    code.store_complex(z, state, j)

            code.loop(0, self.states >> len(group), sweep, unroll=2)

    def _shared_phase(self, layer: Value, j: Value) -> Complex:
        return self.code.load_complex(self.phases, self.code.offset((layer, self.states), j))

    def measure(self, block: Value, state: Array) -> None:
        """Probabilities, or their linear functions, of a block."""
        code = self.code

        def probability(j: Value) -> Value:
            x, y = code.load_complex(state, j)
            return code.dot((x, x), (y, y))

        def all_of_them() -> None:
            def one(j: Value) -> None:
                code.store(probability(j), self.y, code.offset((j, self.stride), block))

            code.loop(0, self.states, one)

        def linear() -> None:
            def one(j: Value) -> None:
                code.store(probability(j), self.diagonal, j)

            code.loop(0, self.states, one)

            def output(o: Value) -> None:
                row = code.at(self.readout, code.times(o, self.states))

                def accumulate(j: Value, total: Value) -> list[Value]:
                    return [code.fma(code.load(row, j), code.load(self.diagonal, j), total)]

                (total,) = code.loop(0, self.states, accumulate, [code.zero])
                code.store(total, self.y, code.offset((o, self.stride), block))

            code.loop(0, self.outputs, output)

        self._by_readout(all_of_them, linear)

    def _by_readout(self, probabilities, linear) -> None:
        builder = self.code.builder
        with builder.if_else(builder.icmp_signed("==", self.outputs, ir.Constant(INDEX, 0))) as (
            then,
            otherwise,
        ):
            with then:
                probabilities()
            with otherwise:
                linear()

    # Backward -----------------------------------------------------------------------------------------

    def cotangents(self, block: Value, state: Array) -> None:
        """Start of the backward pass: amplitudes and their cotangents side by side, in ``pairs``."""
        code = self.code

        def start(j: Value, gradient: Value) -> None:
            x, y = code.load_complex(state, j)
            code.store_complex((x, y), self.pairs, code.times(j, 2))
            code.store_complex(
                (code.mul(x, gradient), code.mul(y, gradient)), self.pairs, code.plus(code.times(j, 2), 1)
            )

        def all_of_them() -> None:
            code.loop(
                0, self.states,
                lambda j: start(j, code.load(self.cotangent, code.offset((j, self.stride), block))),
            )  # fmt: skip

        def linear() -> None:
            def one(j: Value) -> None:
                x, y = code.load_complex(state, j)
                probability = code.dot((x, x), (y, y))

                def output(o: Value, total: Value) -> list[Value]:
                    cotangent = code.load(self.cotangent, code.offset((o, self.stride), block))
                    index = code.offset((o, self.states), j)
                    code.store(
                        code.fma(cotangent, probability, code.load(self.readout_sum, index)),
                        self.readout_sum, index,
                    )  # fmt: skip
                    return [code.fma(code.load(self.readout, index), cotangent, total)]

                (gradient,) = code.loop(0, self.outputs, output, [code.zero])
                start(j, gradient)

            code.loop(0, self.states, one)

        self._by_readout(all_of_them, linear)

    def retreat(self, layer: Value, undo: bool) -> None:
        """Im⟨λ|X, Y|ψ⟩ of each qubit after a layer; then, with ``undo``, un-compute it and its diagonal."""
        code = self.code
        groups = backward_group(self.qubits)
        if undo:
            self._rest_phases(layer, groups[-1])
        for group in groups:
            matrices = [self._matrix(layer, q) for q in group]
            turns = [(code.neg(code.load(m, 0)), code.neg(code.load(m, 1))) for m in matrices] if undo else []
            last = undo and group is groups[-1]
            products = self._phase_products(layer, group) if last else []

            def sweep(
                rest: Value,
                *totals: Value,
                group: range = group,
                turns: list = turns,
                last: bool = last,
                products: list = products,
            ) -> list[Value]:
                positions = self._positions(group, rest)
                kets = [code.load_complex(self.pairs, code.times(j, 2)) for j in positions]
                bras = [code.load_complex(self.pairs, code.plus(code.times(j, 2), 1)) for j in positions]
                bits = [1 << (len(group) - 1 - k) for k in range(len(group))]
                following = [
                    total
                    for k, bit in enumerate(bits)
                    for total in self._overlap(kets, bras, bit, totals[2 * k : 2 * k + 2])
                ]
                for bit, (tan, sin) in zip(bits, turns, strict=False):
                    self._shear(kets, bit, tan, sin)
                    self._shear(bras, bit, tan, sin)
                if last:
                    self._undo_diagonal(layer, rest, positions, products, kets, bras)
                if undo:
                    for j, ket, bra in zip(positions, kets, bras, strict=True):
                        code.store_complex(ket, self.pairs, code.times(j, 2))
                        code.store_complex(bra, self.pairs, code.plus(code.times(j, 2), 1))
                return following

            totals = code.loop(0, self.states >> len(group), sweep, [code.zero] * (2 * len(group)), unroll=2)
            for k, q in enumerate(group):
                code.store(totals[2 * k], self.bloch, 3 * q)
                code.store(totals[2 * k + 1], self.bloch, 3 * q + 1)

    def _overlap(
        self, kets: list[Complex], bras: list[Complex], bit: int, totals: Sequence[Value]
    ) -> tuple[Value, Value]:
        code = self.code
        x_total, y_total = totals
        for low in range(len(kets)):
            if low & bit:
                continue
            (x, y), (u, v), (p, q), (r, s) = kets[low], kets[low | bit], bras[low], bras[low | bit]
            x_total = code.fma(p, v, x_total)
            y_total = code.fma(r, x, y_total)
            x_total = code.fma(code.neg(q), u, x_total)
            y_total = code.fma(s, y, y_total)
            x_total = code.fma(r, y, x_total)
            y_total = code.fma(code.neg(p), u, y_total)
            x_total = code.fma(code.neg(s), x, x_total)
            y_total = code.fma(code.neg(q), v, y_total)
        return x_total, y_total

    def _rest_phases(self, layer: Value, group: range) -> None:
        """Phases of the qubits outside the last group, into ``table``."""
        code = self.code
        code.store_complex((code.one, code.zero), self.table, 0)
        for level, q in enumerate(reversed(range(group.start))):
            omega = self._omega(layer, q)

            def double(j: Value, omega: Complex = omega, half: int = 1 << level) -> None:
                code.store_complex(
                    code.multiply(code.load_complex(self.table, j), omega), self.table, code.plus(j, half)
                )

            code.loop(0, 1 << level, double, unroll=4)

    def _undo_diagonal(
        self,
        layer: Value,
        rest: Value,
        positions: list[Value],
        products: list[Complex | None],
        kets: list[Complex],
        bras: list[Complex],
    ) -> None:
        code = self.code
        outside = code.load_complex(self.table, rest)
        for k, j in enumerate(positions):
            (x, y), (p, q) = kets[k], bras[k]
            imaginary = code.dot((p, y), (code.neg(q), x))
            code.store(imaginary, self.diagonal, j)
            code.add_to(self.phase_sum, code.offset((layer, self.states), j), imaginary)
            product = products[k]
            phase = outside if product is None else code.multiply(outside, product)
            phase = code.conj(code.multiply(phase, self._shared_phase(layer, j)))
            kets[k], bras[k] = code.multiply(kets[k], phase), code.multiply(bras[k], phase)

    def z_overlaps(self) -> None:
        """Im⟨λ|Z|ψ⟩ of every qubit from the overlaps of single basis states, by halving."""
        code = self.code
        for q in reversed(range(self.qubits)):

            def halve(j: Value, total: Value) -> list[Value]:
                up = code.load(self.diagonal, code.times(j, 2))
                down = code.load(self.diagonal, code.plus(code.times(j, 2), 1))
                code.store(code.add(up, down), self.diagonal, j)
                return [code.add(total, code.sub(up, down))]

            (total,) = code.loop(0, 1 << q, halve, [code.zero], unroll=4)
            code.store(total, self.bloch, 3 * q + 2)

    def no_z_overlaps(self) -> None:
        """After the last layer the cotangent is a real multiple of the state: Z has no overlap."""
        for q in range(self.qubits):
            self.code.store(self.code.zero, self.bloch, 3 * q + 2)

    def gather(self, layer: Value) -> None:
        """Gradients of a layer's rotations from the overlaps after it."""
        code = self.code
        upload = code.integer(self.upload_of, layer)

        def qubit(q: Value) -> None:
            x, y, z = (code.load(self.bloch, code.offset((q, 3), k)) for k in range(3))
            cos, sin = code.load_complex(self._matrix(layer, q), 1)
            x, y = code.dot((cos, x), (code.neg(sin), y)), code.dot((cos, y), (sin, x))
            sums = code.times(code.offset((layer, self.qubits), q), 3)
            for k, value in enumerate((x, y, z)):
                code.add_to(self.bloch_after, code.plus(sums, k), value)
            with code.builder.if_then(code.builder.icmp_signed(">=", upload, ir.Constant(INDEX, 0))):
                self._gather_chain(upload, q, sums, [x, y, z])

        code.loop(0, self.qubits, qubit)

    def _gather_chain(self, upload: Value, q: Value, sums: Value, bloch: list[Value]) -> None:
        code = self.code
        row = code.offset((upload, self.qubits), q)
        rotation = code.at(self.rotation_after, code.times(row, 9))
        turned = [code.dot(*((code.load(rotation, 3 * i + k), bloch[k]) for k in range(3))) for i in range(3)]
        columns = code.times(row, code.times(self.fold_pairs, 2))

        def folds(f: Value, x: Value, y: Value, z: Value) -> list[Value]:
            back = code.builder.sub(code.builder.sub(self.fold_pairs, ir.Constant(INDEX, 1)), code.index(f))
            column, cos, sin = self._whole_angle(columns, back, 1)
            code.add_to(self.column_gradient, column, z)
            x, y = code.dot((cos, x), (sin, y)), code.dot((cos, y), (code.neg(sin), x))
            column, cos, sin = self._whole_angle(columns, back, 0)
            code.add_to(self.column_gradient, column, x)
            y, z = code.dot((cos, y), (sin, z)), code.dot((cos, z), (code.neg(sin), y))
            return [x, y, z]

        for k, value in enumerate(code.loop(0, self.fold_pairs, folds, turned)):
            code.add_to(self.bloch_before, code.plus(sums, k), value)

    def _whole_angle(self, columns: Value, f: Value, parity: int) -> tuple[Value, Value, Value]:
        code = self.code
        column = code.integer(self.column_of, code.offset(columns, (f, 2), parity))
        c, s = code.load_complex(self.trigonometry, column)
        twice = code.add(s, s)
        return column, code.fma(code.neg(twice), s, code.one), code.mul(twice, c)

    def unembed(self, block: Value) -> None:
        """From gradients of the angles to those of the inputs and of the embedding."""
        code = self.code

        def given(column: Value) -> None:
            code.store(
                code.load(self.column_gradient, column),
                self.angle_gradient,
                code.offset((column, self.stride), block),
            )

        def sine(column: Value) -> None:
            width = code.plus(self.inputs, 1)
            slope = code.mul(code.load(self.column_gradient, column), code.load(self.slopes, column))
            row = code.times(column, width)

            def one(i: Value) -> None:
                x = code.load(self.x, code.offset((i, self.stride), block))
                index = code.plus(row, i)
                code.store(
                    code.fma(slope, x, code.load(self.embedding_sum, index)), self.embedding_sum, index
                )

            code.loop(0, self.inputs, one)
            code.add_to(self.embedding_sum, code.plus(row, self.inputs), slope)
            code.store(slope, self.slopes, column)

        with code.builder.if_else(code.builder.icmp_signed("!=", self.sine, ir.Constant(INDEX, 0))) as (
            then,
            otherwise,
        ):
            with then:
                code.loop(0, self.columns, sine)
                code.when(self.input_gradient, lambda: self._input_gradient(block))
            with otherwise:
                code.loop(0, self.columns, given)

    def _input_gradient(self, block: Value) -> None:
        code = self.code

        def one(i: Value) -> None:
            def accumulate(column: Value, total: Value) -> list[Value]:
                weight = code.load(self.embedding, code.offset((column, code.plus(self.inputs, 1)), i))
                return [code.fma(weight, code.load(self.slopes, column), total)]

            (total,) = code.loop(0, self.columns, accumulate, [code.zero])
            code.store(total, self.x_gradient, code.offset((i, self.stride), block))

        code.loop(0, self.inputs, one)

    # Whole kernels ------------------------------------------------------------------------------------

    def _matrices(self) -> None:
        code = self.code

        def one(layer: Value) -> None:
            upload = code.integer(self.upload_of, layer)
            with code.builder.if_then(code.builder.icmp_signed(">=", upload, ir.Constant(INDEX, 0))):
                self.chain(layer)

        code.loop(0, self.layers, one)

    def _state(self, block: Value) -> Array:
        return self.code.at(self.state, self.code.times(block, self.state_stride))

    def forward(self) -> None:
        """Emit the forward pass."""
        code = self.code

        def one(block: Value) -> None:
            self.embed(block, slopes=False)
            self._matrices()
            state = self._state(block)
            self.product_state(state)
            code.loop(1, self.layers, lambda layer: self.advance(layer, state))
            self.measure(block, state)

        code.loop(self.first_block, self.last_block, one)
        code.builder.ret_void()

    def backward(self) -> None:
        """Emit the backward pass."""
        code = self.code
        code.loop(0, self.sums_count, lambda k: code.store(code.zero, self.phase_sum, k))

        def one(block: Value) -> None:
            self.embed(block, slopes=True)
            self._matrices()
            self.cotangents(block, self._state(block))
            code.loop(0, code.plus(self.columns, 1), lambda c: code.store(code.zero, self.column_gradient, c))
            self.no_z_overlaps()

            def layer(step: Value) -> None:
                last = code.builder.sub(self.layers, ir.Constant(INDEX, 1))
                index = code.builder.sub(last, code.index(step))
                self.retreat(index, undo=True)
                self.gather(index)
                self.z_overlaps()

            code.loop(0, code.builder.sub(self.layers, ir.Constant(INDEX, 1)), layer)
            self.retreat(0, undo=False)
            self.gather(0)
            self.unembed(block)

        code.loop(self.first_block, self.last_block, one)
        code.loop(0, self.sums_count, lambda k: code.store_sum(code.load(self.phase_sum, k), self.totals, k))
        code.builder.ret_void()


def build(qubits: int, precision: Precision) -> ir.Module:
    """The kernels ``forward`` and ``backward`` for a number of qubits."""
    module = ir.Module("quinr")
    Kernel(module, "forward", qubits, precision).forward()
    Kernel(module, "backward", qubits, precision).backward()
    return module
