"""Kernel code for the state of a block: passes over its 2**qubits amplitudes, forward and backward.

Between diagonals every qubit has a matrix  diag(1, e^{iα}) · RX(2φ) · diag(1, e^{iγ}),  up to a global phase.
Its outer factors join the CRZ gates in one diagonal; RX turns pairs (re, im), each turn being three shears
(x += tan(φ/2) v,  v -= sin φ x,  x += tan(φ/2) v).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from quinr_pl.circuit.engines.cpu.arguments import Kernel
from quinr_pl.circuit.lowering.stages import LARGE
from quinr_pl.native.arrays import Complexes
from quinr_pl.native.code import Variable
from quinr_pl.native.mathematics import cos_sin
from quinr_pl.native.values import AnyIndex, Complex, Index, Vector, dot, fma, maximum

UNROLL = 4


def groups(qubits: int, most: int) -> list[range]:
    """Qubits whose gates share a pass, as evenly as can be: their amplitudes fit into the registers."""
    count = -(-qubits // most)
    edges = [qubits * part // count for part in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def product_state(k: Kernel, state: Complexes) -> None:
    """The state after layer 0: the product of its columns (a, b)."""
    columns = []
    for qubit in range(k.qubits):
        column = k.matrix(0, qubit).complexes()
        columns.append((column[0], column[2]))
    for bit, amplitude in enumerate(columns[-1]):
        state[bit] = amplitude
    for level in range(1, k.qubits):
        a, b = columns[k.qubits - 1 - level]
        for j in k.code.range(0, 1 << level, unroll=UNROLL):
            z = state[j]
            state[j + (1 << level)] = b * z
            state[j] = a * z


def given_state(k: Kernel, block: Index, state: Complexes) -> None:
    """The state of the amplitudes that are given."""
    for j in k.code.range(0, k.states):
        state[j] = Complex(k.read_x(block, j), k.code.constant(0.0))


def given_gradient(k: Kernel, block: Index) -> None:
    """Gradients in the amplitudes that were given, once all layers are undone: twice the cotangents."""
    for j in k.code.range(0, k.states):
        k.write_x_gradient(k.amplitudes[j * 2 + 1].real * 2.0, block, j)


def advance(k: Kernel, layer: Index, state: Complexes) -> None:
    """The diagonal before a layer, then the layer's RX on every qubit."""
    for number, group in enumerate(groups(k.qubits, 3)):
        products = _phase_products(k, layer, group)
        turns = [(matrix[0], matrix[1]) for matrix in (k.matrix(layer, qubit) for qubit in group)]
        for rest in k.code.range(0, k.states >> len(group), unroll=UNROLL):
            positions = _positions(k, group, rest)
            amplitudes = [state[j] for j in positions]
            for at, j in enumerate(positions):
                if number == 0:
                    amplitudes[at] *= _shared_phase(k, layer, j)
                phase = products[at]
                if phase is not None:
                    amplitudes[at] *= phase
            for bit, (tan, sin) in zip(_bits(group), turns, strict=True):
                _shear(amplitudes, bit, tan, sin)
            for z, j in zip(amplitudes, positions, strict=True):
                state[j] = z


def measure(k: Kernel, block: Index, state: Complexes) -> None:
    """Probabilities, or linear functions of them, of a block."""
    code = k.code

    def probabilities() -> None:
        for j in code.range(0, k.states):
            k.write_y(state[j].squared(), block, j)

    def linear() -> None:
        for j in code.range(0, k.states):
            k.diagonal[j] = state[j].squared()
        for o in code.range(0, k.outputs):
            row = k.readout.at(o * k.states)
            total = code.variable()
            for j in code.range(0, k.states, total):
                total.value = fma(row[j], k.diagonal[j], total.value)
            k.outputs_block[o] = total.value
        _add_past_circuit(k)
        for o in code.range(0, k.outputs):
            k.write_y(k.outputs_block[o], block, o)

    code.choose(k.outputs.is_not_zero(), linear, probabilities)


def _add_past_circuit(k: Kernel) -> None:
    """Add to the outputs what does not go through the circuit."""
    code = k.code
    for o in code.range(0, k.skipped):
        row = k.skip.at(o * k.inputs)
        total = code.variable(k.outputs_block[o])
        for i in code.range(0, k.inputs, total):
            total.value = fma(row[i], k.inputs_block[i], total.value)
        k.outputs_block[o] = total.value
    for o in code.range(0, k.offsets):
        k.outputs_block[o] += k.offset[o]


def cotangents(k: Kernel, block: Index, state: Complexes) -> None:
    """Final amplitudes and their cotangents, side by side, and the gradient of the read-out."""
    code = k.code

    def start(j: AnyIndex, gradient: Vector) -> None:
        ket = state[j]
        k.amplitudes[j * 2] = ket
        bra = Complex(ket.real * gradient, ket.imag * gradient)
        k.amplitudes[j * 2 + 1] = bra

    def probabilities() -> None:
        for j in code.range(0, k.states):
            start(j, k.read_cotangent(block, j))

    def linear() -> None:
        for o in code.range(0, k.outputs):
            k.outputs_block[o] = k.read_cotangent(block, o)
        for j in code.range(0, k.states):
            start(j, _readout_gradient(k, j, state[j].squared()))

    code.choose(k.outputs.is_not_zero(), linear, probabilities)


def _readout_gradient(k: Kernel, j: AnyIndex, probability: Vector) -> Vector:
    """The cotangent of a probability; adds to the gradients of its column of the read-out."""
    gradient = k.code.variable()
    for o in k.code.range(0, k.outputs, gradient):
        cotangent = k.outputs_block[o]
        index = o * k.states + j
        k.readout_sum[index] = fma(cotangent, probability, k.readout_sum[index])
        gradient.value = fma(k.readout[index], cotangent, gradient.value)
    return gradient.value


def retreat(k: Kernel, layer: AnyIndex, undo: bool) -> None:
    """Overlaps with X and Y of each qubit after a layer; with ``undo``, un-compute it and its diagonal."""
    *others, final = groups(k.qubits, 2)
    if undo:
        _outside_phases(k, layer, final)
    for group in (*others, final):
        undone = _Undone(k, layer, group, group is final) if undo else None
        totals = [k.code.variable() for _ in range(2 * len(group))]
        for rest in k.code.range(0, k.states >> len(group), *totals, unroll=UNROLL):
            positions = _positions(k, group, rest)
            kets = [k.amplitudes[j * 2] for j in positions]
            bras = [k.amplitudes[j * 2 + 1] for j in positions]
            for at, bit in enumerate(_bits(group)):
                _add_overlaps(kets, bras, bit, totals[2 * at], totals[2 * at + 1])
            if undone is None:
                continue
            undone.uncompute(rest, positions, kets, bras)
            for j, ket, bra in zip(positions, kets, bras, strict=True):
                k.amplitudes[j * 2] = ket
                k.amplitudes[j * 2 + 1] = bra
        for at, qubit in enumerate(group):
            k.bloch[3 * qubit] = totals[2 * at].value
            k.bloch[3 * qubit + 1] = totals[2 * at + 1].value


def z_overlaps(k: Kernel) -> None:
    """Overlaps with Z of each qubit from those with single basis states, by halving."""
    diagonal = k.diagonal.complexes()
    for qubit in reversed(range(k.qubits)):
        total = k.code.variable()
        for j in k.code.range(0, 1 << qubit, total, unroll=UNROLL):
            up, down = diagonal[j]
            k.diagonal[j] = up + down
            total.value += up - down
        k.bloch[3 * qubit + 2] = total.value


def no_z_overlaps(k: Kernel) -> None:
    """At the end of the circuit the cotangent is a real multiple of the state: Z has no overlap."""
    for qubit in range(k.qubits):
        k.bloch[3 * qubit + 2] = 0.0


class _Undone:
    """The inverse of a layer on a group of qubits, and with the last group that of the diagonal before it.

    Args:
        k: Kernel under construction, with its arguments.
        layer: Layer that is undone.
        group: Qubits of a pass over the state.
        last: Whether the diagonal is undone.
    """

    def __init__(self, k: Kernel, layer: AnyIndex, group: range, last: bool) -> None:
        self.k, self.layer, self.group = k, layer, group
        self.products = _phase_products(k, layer, group) if last else None
        matrices = [k.matrix(layer, qubit) for qubit in group]
        self.turns = [(-matrix[0], -matrix[1]) for matrix in matrices]

    def uncompute(
        self, rest: AnyIndex, positions: Sequence[AnyIndex], kets: list[Complex], bras: list[Complex]
    ) -> None:
        """Replace amplitudes and cotangents, of every pattern of the group, by those before the layer."""
        for bit, (tan, sin) in zip(_bits(self.group), self.turns, strict=True):
            _shear(kets, bit, tan, sin)
            _shear(bras, bit, tan, sin)
        if self.products is None:
            return
        k, outside = self.k, self.k.table[rest]
        for at, (j, product) in enumerate(zip(positions, self.products, strict=True)):
            (x, y), (p, q) = kets[at], bras[at]
            overlap = dot((p, y), (-q, x))
            k.diagonal[j] = overlap
            k.phase_sum[self.layer * k.states + j] += overlap
            phase = outside if product is None else outside * product
            phase = (phase * _shared_phase(k, self.layer, j)).conj()
            kets[at], bras[at] = kets[at] * phase, bras[at] * phase


def _add_overlaps(
    kets: list[Complex], bras: list[Complex], bit: int, x_total: Variable, y_total: Variable
) -> None:
    for low in range(len(kets)):
        if low & bit:
            continue
        (x, y), (u, v), (p, q), (r, s) = kets[low], kets[low | bit], bras[low], bras[low | bit]
        for a, b in ((p, v), (-q, u), (r, y), (-s, x)):
            x_total.value = fma(a, b, x_total.value)
        for a, b in ((r, x), (s, y), (-p, u), (-q, v)):
            y_total.value = fma(a, b, y_total.value)


def _shear(amplitudes: list[Complex], bit: int, tan: Vector, sin: Vector) -> None:
    minus = -sin
    for low in range(len(amplitudes)):
        if low & bit:
            continue
        (x, y), (u, v) = amplitudes[low], amplitudes[low | bit]
        x, u = fma(tan, v, x), fma(tan, y, u)
        v, y = fma(minus, x, v), fma(minus, u, y)
        x, u = fma(tan, v, x), fma(tan, y, u)
        amplitudes[low], amplitudes[low | bit] = Complex(x, y), Complex(u, v)


def _bits(group: Sequence[int]) -> list[int]:
    return [1 << (len(group) - 1 - at) for at in range(len(group))]


def _positions(k: Kernel, group: range, rest: AnyIndex) -> list[AnyIndex]:
    """Basis states of every pattern of a group of qubits, the other qubits being at ``rest``."""
    low = k.qubits - group.stop
    base = (rest >> low << (low + len(group))) | (rest & ((1 << low) - 1))
    return [base + (pattern << low) for pattern in range(1 << len(group))]


def prepare_diagonals(k: Kernel) -> None:
    """Phases of the basis states in every diagonal: all cosines of a layer, then all sines."""
    code = k.code
    for layer in code.range(0, k.layers):
        first = layer * k.controlled
        greatest = code.variable()
        for gate in code.range(0, k.controlled, greatest):
            greatest.value = maximum(greatest.value, abs(_diagonal_weight(k, first + gate)))
        # A sum of large angles has no bits left for its phase.
        large = abs(greatest.value).exceeds(LARGE).any()
        code.choose(large, partial(_phase_by_product, k, layer), partial(_phase_of_sum, k, layer))


def _phase_of_sum(k: Kernel, layer: Index) -> None:
    """A layer's phases from the sums of the angles of its gates."""
    first = layer * k.controlled
    for vector in k.code.range(0, k.state_vectors):
        angle = k.code.variable()
        for gate in k.code.range(0, k.controlled, angle):
            angle.value = fma(_diagonal_weight(k, first + gate), _generator(k, gate, vector), angle.value)
        _store_phases(k, layer, vector, cos_sin(angle.value))


def _phase_by_product(k: Kernel, layer: Index) -> None:
    """A layer's phases as products of those of its gates."""
    code, first = k.code, layer * k.controlled
    for vector in code.range(0, k.state_vectors):
        cos, sin = code.variable(1.0), code.variable(0.0)
        for gate in code.range(0, k.controlled, cos, sin):
            turn = cos_sin(_diagonal_weight(k, first + gate) * _generator(k, gate, vector))
            cos.value, sin.value = Complex(cos.value, sin.value) * turn
        _store_phases(k, layer, vector, Complex(cos.value, sin.value))


def _diagonal_weight(k: Kernel, index: Index) -> Vector:
    return k.weight[k.diagonal_weights[index]]


def _generator(k: Kernel, gate: Index, vector: AnyIndex) -> Vector:
    return k.generators[gate * k.state_vectors + vector]


def _store_phases(k: Kernel, layer: Index, vector: AnyIndex, phases: Complex) -> None:
    for part, value in enumerate(phases):
        k.phases[(layer * 2 + part) * k.state_vectors + vector] = value


def finish_diagonals(k: Kernel) -> None:
    """Gradients of the CRZ gates: a phase e^{iφ} on state j changes the loss by -2 Im⟨λ|j⟩⟨j|ψ⟩ dφ."""
    code, generators = k.code, k.generators.numbers()
    for layer in code.range(0, k.layers):
        for gate in code.range(0, k.controlled):
            index = layer * k.controlled + gate
            row = gate * (k.state_vectors * code.lanes)
            total = code.variable()
            for j in code.range(0, k.states, total):
                overlap = k.phase_sum[layer * k.states + j]
                total.value = fma(generators[row + j], overlap, total.value)
            column = k.angles + 1 + k.diagonal_weights[index]
            gradient = total.value * -2.0
            k.column_sum[column] += gradient


def _shared_phase(k: Kernel, layer: AnyIndex, j: AnyIndex) -> Complex:
    width, phases = k.state_vectors * k.code.lanes, k.phases.numbers()
    at = layer * (2 * width) + j
    return Complex(phases[at], phases[at + width])


def _omega(k: Kernel, layer: AnyIndex, qubit: int) -> Complex:
    """Phase of a qubit at 1 between one layer's RX and the next: e^{iα} and e^{iγ}."""
    previous = k.matrix(layer + -1, qubit)
    return previous.complexes()[1] * k.matrix(layer, qubit).complexes()[2]


def _phase_products(k: Kernel, layer: AnyIndex, qubits: range) -> list[Complex | None]:
    """Phases of every pattern of the qubits; None stands for 1."""
    products: list[Complex | None] = [None]
    for qubit in qubits:
        omega = _omega(k, layer, qubit)
        products = [product for low in products for product in (low, omega if low is None else low * omega)]
    return products


def _outside_phases(k: Kernel, layer: AnyIndex, group: range) -> None:
    """Phases of the qubits before the last group, into ``table``."""
    k.table[0] = k.code.complex(1.0, 0.0)
    for level, qubit in enumerate(reversed(range(group.start))):
        omega = _omega(k, layer, qubit)
        for j in k.code.range(0, 1 << level, unroll=UNROLL):
            k.table[j + (1 << level)] = k.table[j] * omega
