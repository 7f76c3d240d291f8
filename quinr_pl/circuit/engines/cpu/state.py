"""Kernel code for the state of a block: passes over its 2**qubits amplitudes, forward and backward.

Between diagonals every qubit has a matrix  diag(1, e^{iα}) · RX(2φ) · diag(1, e^{iγ}),  up to a global phase.
Its outer factors join the CRZ gates in one diagonal; RX turns pairs (re, im), each turn being three shears
(x += tan(φ/2) v,  v -= sin φ x,  x += tan(φ/2) v).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from quinr_pl.circuit.engines.cpu.arguments import Kernel
from quinr_pl.circuit.lowering.stages import LARGE
from quinr_pl.native.vectors import INDEX, Array, Complex, Value

UNROLL = 4


def groups(qubits: int, most: int) -> list[range]:
    """Qubits whose gates share a pass, as evenly as can be: their amplitudes fit into the registers."""
    count = -(-qubits // most)
    edges = [qubits * part // count for part in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def product_state(k: Kernel, state: Array) -> None:
    """The state after layer 0: the product of its columns (a, b)."""
    code = k.code
    columns = []
    for qubit in range(k.qubits):
        matrix = k.matrix(0, qubit)
        columns.append((code.load_complex(matrix, 0), code.load_complex(matrix, 2)))
    for bit, amplitude in enumerate(columns[-1]):
        code.store_complex(amplitude, state, bit)
    for level in range(1, k.qubits):
        a, b = columns[k.qubits - 1 - level]

        def double(j: Value, a: Complex = a, b: Complex = b, half: int = 1 << level) -> None:
            z = code.load_complex(state, j)
            code.store_complex(code.multiply(b, z), state, code.plus(j, half))
            code.store_complex(code.multiply(a, z), state, j)

        code.loop(0, 1 << level, double, unroll=UNROLL)


def advance(k: Kernel, layer: Value, state: Array) -> None:
    """The diagonal before a layer, then the layer's RX on every qubit."""
    code = k.code
    for number, group in enumerate(groups(k.qubits, 3)):
        products = _phase_products(k, layer, group)
        turns = [(code.load(m, 0), code.load(m, 1)) for m in (k.matrix(layer, q) for q in group)]

        def sweep(
            rest: Value,
            group: range = group,
            products: list[Complex | None] = products,
            turns: list[Complex] = turns,
            shared: bool = number == 0,
        ) -> None:
            positions = _positions(k, group, rest)
            amplitudes = [code.load_complex(state, j) for j in positions]
            for at, j in enumerate(positions):
                if shared:
                    amplitudes[at] = code.multiply(amplitudes[at], _shared_phase(k, layer, j))
                phase = products[at]
                if phase is not None:
                    amplitudes[at] = code.multiply(amplitudes[at], phase)
            for bit, (tan, sin) in zip(_bits(group), turns, strict=True):
                _shear(k, amplitudes, bit, tan, sin)
            for z, j in zip(amplitudes, positions, strict=True):
                code.store_complex(z, state, j)

        code.loop(0, k.states >> len(group), sweep, unroll=UNROLL)


def measure(k: Kernel, block: Value, state: Array) -> None:
    """Probabilities, or linear functions of them, of a block."""
    code = k.code

    def probability(j: Value) -> Value:
        x, y = code.load_complex(state, j)
        return code.dot((x, x), (y, y))

    def probabilities() -> None:
        code.loop(0, k.states, lambda j: k.write(probability(j), k.y, block, j, k.states))

    def linear() -> None:
        code.loop(0, k.states, lambda j: code.store(probability(j), k.diagonal, j))

        def output(o: Value) -> None:
            row = code.at(k.readout, code.times(o, k.states))

            def accumulate(j: Value, total: Value) -> list[Value]:
                return [code.fma(code.load(row, j), code.load(k.diagonal, j), total)]

            (total,) = code.loop(0, k.states, accumulate, [code.zero])
            k.write(total, k.y, block, o, k.outputs)

        code.loop(0, k.outputs, output)

    code.choose(k.outputs, linear, probabilities)


def cotangents(k: Kernel, block: Value, state: Array) -> None:
    """Final amplitudes and their cotangents, side by side, and the gradient of the read-out."""
    code = k.code

    def start(j: Value, gradient: Value) -> None:
        x, y = code.load_complex(state, j)
        code.store_complex((x, y), k.amplitudes, code.times(j, 2))
        bra = code.mul(x, gradient), code.mul(y, gradient)
        code.store_complex(bra, k.amplitudes, code.plus(code.times(j, 2), 1))

    def probabilities() -> None:
        code.loop(0, k.states, lambda j: start(j, k.read_cotangent(block, j)))

    def linear() -> None:
        code.loop(0, k.outputs, lambda o: code.store(k.read_cotangent(block, o), k.cotangents, o))

        def one(j: Value) -> None:
            x, y = code.load_complex(state, j)
            probability = code.dot((x, x), (y, y))

            def output(o: Value, total: Value) -> list[Value]:
                cotangent = code.load(k.cotangents, o)
                index = code.offset((o, k.states), j)
                summed = code.fma(cotangent, probability, code.load(k.readout_sum, index))
                code.store(summed, k.readout_sum, index)
                return [code.fma(code.load(k.readout, index), cotangent, total)]

            (gradient,) = code.loop(0, k.outputs, output, [code.zero])
            start(j, gradient)

        code.loop(0, k.states, one)

    code.choose(k.outputs, linear, probabilities)


def retreat(k: Kernel, layer: Value, undo: bool) -> None:
    """Overlaps with X and Y of each qubit after a layer; with ``undo``, un-compute it and its diagonal."""
    code = k.code
    parts = groups(k.qubits, 2)
    if undo:
        _outside_phases(k, layer, parts[-1])
    for group in parts:
        last = undo and group is parts[-1]
        products = _phase_products(k, layer, group) if last else []
        turns = []
        if undo:
            matrices = [k.matrix(layer, q) for q in group]
            turns = [(code.neg(code.load(m, 0)), code.neg(code.load(m, 1))) for m in matrices]

        def sweep(
            rest: Value,
            *totals: Value,
            group: range = group,
            turns: list[Complex] = turns,
            last: bool = last,
            products: list[Complex | None] = products,
        ) -> list[Value]:
            positions = _positions(k, group, rest)
            kets = [code.load_complex(k.amplitudes, code.times(j, 2)) for j in positions]
            bras = [code.load_complex(k.amplitudes, code.plus(code.times(j, 2), 1)) for j in positions]
            following: list[Value] = []
            for at, bit in enumerate(_bits(group)):
                following += _overlaps(k, kets, bras, bit, totals[2 * at], totals[2 * at + 1])
            if not undo:
                return following
            for bit, (tan, sin) in zip(_bits(group), turns, strict=True):
                _shear(k, kets, bit, tan, sin)
                _shear(k, bras, bit, tan, sin)
            if last:
                _undo_diagonal(k, layer, rest, positions, products, kets, bras)
            for j, ket, bra in zip(positions, kets, bras, strict=True):
                code.store_complex(ket, k.amplitudes, code.times(j, 2))
                code.store_complex(bra, k.amplitudes, code.plus(code.times(j, 2), 1))
            return following

        start = [code.zero] * (2 * len(group))
        totals = code.loop(0, k.states >> len(group), sweep, start, unroll=UNROLL)
        for at, q in enumerate(group):
            code.store(totals[2 * at], k.bloch, 3 * q)
            code.store(totals[2 * at + 1], k.bloch, 3 * q + 1)


def z_overlaps(k: Kernel) -> None:
    """Overlaps with Z of each qubit from those with single basis states, by halving."""
    code = k.code
    for qubit in reversed(range(k.qubits)):

        def halve(j: Value, total: Value) -> list[Value]:
            up = code.load(k.diagonal, code.times(j, 2))
            down = code.load(k.diagonal, code.plus(code.times(j, 2), 1))
            code.store(code.add(up, down), k.diagonal, j)
            return [code.add(total, code.sub(up, down))]

        (total,) = code.loop(0, 1 << qubit, halve, [code.zero], unroll=UNROLL)
        code.store(total, k.bloch, 3 * qubit + 2)


def no_z_overlaps(k: Kernel) -> None:
    """At the end of the circuit the cotangent is a real multiple of the state: Z has no overlap."""
    for qubit in range(k.qubits):
        k.code.store(k.code.zero, k.bloch, 3 * qubit + 2)


def _undo_diagonal(
    k: Kernel,
    layer: Value,
    rest: Value,
    positions: list[Value],
    products: list[Complex | None],
    kets: list[Complex],
    bras: list[Complex],
) -> None:
    code = k.code
    outside = code.load_complex(k.table, rest)
    for at, j in enumerate(positions):
        (x, y), (p, q) = kets[at], bras[at]
        overlap = code.dot((p, y), (code.neg(q), x))
        code.store(overlap, k.diagonal, j)
        code.add_to(k.phase_sum, code.offset((layer, k.states), j), overlap)
        product = products[at]
        phase = outside if product is None else code.multiply(outside, product)
        phase = code.conj(code.multiply(phase, _shared_phase(k, layer, j)))
        kets[at], bras[at] = code.multiply(kets[at], phase), code.multiply(bras[at], phase)


def _overlaps(
    k: Kernel, kets: list[Complex], bras: list[Complex], bit: int, x_total: Value, y_total: Value
) -> tuple[Value, Value]:
    code = k.code
    for low in range(len(kets)):
        if low & bit:
            continue
        (x, y), (u, v), (p, q), (r, s) = kets[low], kets[low | bit], bras[low], bras[low | bit]
        for a, b in ((p, v), (code.neg(q), u), (r, y), (code.neg(s), x)):
            x_total = code.fma(a, b, x_total)
        for a, b in ((r, x), (s, y), (code.neg(p), u), (code.neg(q), v)):
            y_total = code.fma(a, b, y_total)
    return x_total, y_total


def _shear(k: Kernel, amplitudes: list[Complex], bit: int, tan: Value, sin: Value) -> None:
    code, minus = k.code, k.code.neg(sin)
    for low in range(len(amplitudes)):
        if low & bit:
            continue
        (x, y), (u, v) = amplitudes[low], amplitudes[low | bit]
        x, u = code.fma(tan, v, x), code.fma(tan, y, u)
        v, y = code.fma(minus, x, v), code.fma(minus, u, y)
        x, u = code.fma(tan, v, x), code.fma(tan, y, u)
        amplitudes[low], amplitudes[low | bit] = (x, y), (u, v)


def _bits(group: Sequence[int]) -> list[int]:
    return [1 << (len(group) - 1 - at) for at in range(len(group))]


def _positions(k: Kernel, group: range, rest: Value) -> list[Value]:
    """Basis states of every pattern of a group of qubits, the other qubits being at ``rest``."""
    code, low = k.code, k.qubits - group.stop
    if isinstance(rest, int):
        base: Value = (rest >> low << (low + len(group))) | (rest & ((1 << low) - 1))
    else:
        builder = code.builder
        high = builder.shl(builder.lshr(rest, code.index(low)), code.index(low + len(group)))
        base = builder.or_(high, builder.and_(rest, code.index((1 << low) - 1)))
    return [code.plus(base, pattern << low) for pattern in range(1 << len(group))]


def prepare_diagonals(k: Kernel) -> None:
    """Phases of the basis states in every diagonal: all cosines of a layer, then all sines."""
    code = k.code

    def layer(at: Value) -> None:
        first = code.times(at, k.controlled)

        def weight(gate: Value) -> Value:
            return code.load(k.weight, code.integer(k.diagonal_weights, code.plus(first, gate)))

        def generator(gate: Value, vector: Value) -> Value:
            return code.load(k.generators, code.offset((gate, k.state_vectors), vector))

        def store(vector: Value, phase: Complex) -> None:
            for part, value in enumerate(phase):
                row = code.plus(code.times(at, 2), part)
                code.store(value, k.phases, code.offset((row, k.state_vectors), vector))

        def of_sum(vector: Value) -> None:
            def accumulate(gate: Value, angle: Value) -> list[Value]:
                return [code.fma(weight(gate), generator(gate, vector), angle)]

            (angle,) = code.loop(0, k.controlled, accumulate, [code.zero])
            store(vector, code.cos_sin(angle))

        def product(vector: Value) -> None:
            def accumulate(gate: Value, *phase: Value) -> Complex:
                turn = code.cos_sin(code.mul(weight(gate), generator(gate, vector)))
                return code.multiply((phase[0], phase[1]), turn)

            cos, sin = code.loop(0, k.controlled, accumulate, [code.one, code.zero])
            store(vector, (cos, sin))

        def greater(gate: Value, greatest: Value) -> list[Value]:
            return [code.maximum(greatest, code.abs(weight(gate)))]

        (greatest,) = code.loop(0, k.controlled, greater, [code.zero])
        # A sum of large angles has no bits left for its phase.
        _, large = code.beyond(greatest, LARGE)
        code.choose(
            code.builder.zext(large, INDEX),
            lambda: code.loop(0, k.state_vectors, product),
            lambda: code.loop(0, k.state_vectors, of_sum),
        )

    code.loop(0, k.layers, layer)


def finish_diagonals(k: Kernel) -> None:
    """Gradients of the CRZ gates: a phase e^{iφ} on state j changes the loss by -2 Im⟨λ|j⟩⟨j|ψ⟩ dφ."""
    code = k.code
    generators = Array(k.generators.pointer, scalar=True)

    def layer(at: Value) -> None:
        def gate(number: Value) -> None:
            index = code.offset((at, k.controlled), number)
            row = code.times(number, k.state_vectors * code.lanes)

            def accumulate(j: Value, total: Value) -> list[Value]:
                overlap = code.load(k.phase_sum, code.offset((at, k.states), j))
                return [code.fma(code.load(generators, code.plus(row, j)), overlap, total)]

            (total,) = code.loop(0, k.states, accumulate, [code.zero])
            column = code.offset(k.angles, 1, code.integer(k.diagonal_weights, index))
            code.add_to(k.column_sum, column, code.mul(total, code.constant(-2.0)))

        code.loop(0, k.controlled, gate)

    code.loop(0, k.layers, layer)


def _shared_phase(k: Kernel, layer: Value, j: Value) -> Complex:
    code, width = k.code, k.state_vectors * k.code.lanes
    phases = Array(k.phases.pointer, scalar=True)
    at = code.offset((layer, 2 * width), j)
    return code.load(phases, at), code.load(phases, code.plus(at, width))


def _omega(k: Kernel, layer: Value, qubit: Value) -> Complex:
    """Phase of a qubit at 1 between one layer's RX and the next: e^{iα} and e^{iγ}."""
    code = k.code
    previous = k.matrix(code.plus(layer, -1), qubit)
    return code.multiply(code.load_complex(previous, 1), code.load_complex(k.matrix(layer, qubit), 2))


def _phase_products(k: Kernel, layer: Value, qubits: range) -> list[Complex | None]:
    """Phases of every pattern of the qubits; None stands for 1."""
    products: list[Complex | None] = [None]
    for qubit in qubits:
        omega = _omega(k, layer, qubit)
        products = [
            product
            for low in products
            for product in (low, omega if low is None else k.code.multiply(low, omega))
        ]
    return products


def _outside_phases(k: Kernel, layer: Value, group: range) -> None:
    """Phases of the qubits before the last group, into ``table``."""
    code = k.code
    code.store_complex((code.one, code.zero), k.table, 0)
    for level, qubit in enumerate(reversed(range(group.start))):
        omega = _omega(k, layer, qubit)

        def double(j: Value, omega: Complex = omega, half: int = 1 << level) -> None:
            phase = code.multiply(code.load_complex(k.table, j), omega)
            code.store_complex(phase, k.table, code.plus(j, half))

        code.loop(0, 1 << level, double, unroll=UNROLL)
