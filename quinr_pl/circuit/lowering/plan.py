"""What the CPU engine computes: the gates of an ansatz as alternating layers and diagonals.

Single-qubit gates between two groups of two-qubit gates make a *layer*: one SU(2) matrix for each qubit. A
layer may embed angles, among trained rotations, or hold trained rotations only. Two-qubit gates make a
*diagonal*, which has a phase for each basis state. The circuit is layer 0, diagonal 1, layer 1, diagonal 2
and so on; as the first layer acts on the zero state, it leaves a product state. Where amplitudes are
embedded, layer 0 is empty and stands for them.

RZ, RX and CRZ are all that layers and diagonals know: RY is an RX between two RZ of constant angles, and CZ a
phase of weight 1. Such *constants* follow the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import pi, prod

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.ansatz import Ansatz, Gate
from quinr_pl.circuit.lowering.stages import generators
from quinr_pl.native.memory import AnyArray, empty

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """The circuit of an ansatz as layers and diagonals.

    A rotation is known by its *column*: first the columns of the angles, then one that is always 0, then the
    weights and the constants.

    Attributes:
        ansatz: Ansatz of the circuit.
        embeds: Whether a layer embeds angles, as 0 or 1: (layers,).
        pairs: How many pairs of rotations a layer has on each qubit, (layers,).
        columns: Columns of the rotations, RZ and RX in turn: (layers, qubits, 2 * pairs), padded.
        diagonal: Flat indices into weights and constants of the diagonal before each layer, (layers, k),
            padded.
        generators: Phases for a unit of each weight of a diagonal, (k, 2**qubits): all have the same gates,
            some of them turned by 0.
        constants: What follows the weights.
    """

    ansatz: Ansatz
    embeds: Integers
    pairs: Integers
    columns: Integers
    diagonal: Integers
    generators: Floats
    constants: tuple[float, ...]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.embeds)

    @property
    def trained(self) -> int:
        """Number of weights."""
        return prod(self.ansatz.weights_shape)

    @property
    def weights(self) -> int:
        """Number of weights and constants."""
        return self.trained + len(self.constants)

    def with_constants(self, weights: AnyArray) -> AnyArray:
        """Weights of the ansatz's shape, flat and with the constants; where there are none, as they are."""
        if not self.constants:
            return weights
        joined = empty(weights, self.weights)
        joined[: self.trained] = weights.reshape(-1)
        for at, constant in enumerate(self.constants, self.trained):
            joined[at] = constant
        return joined


class _Columns:
    """Columns of gates, and the constants that they need.

    Args:
        ansatz: Ansatz of the circuit.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        self._ansatz, self._weights = ansatz, int(np.prod(ansatz.weights_shape))
        self.zero = ansatz.features_count
        self.constants: dict[float, int] = {}

    def constant(self, value: float) -> int:
        """Flat index of a constant behind the weights."""
        return self.constants.setdefault(value, self._weights + len(self.constants))

    def weight(self, gate: Gate) -> int:
        """Flat index of what turns a gate that no angle turns."""
        return self.constant(1.0) if gate.source == "nothing" else self._ansatz.flat_index(gate)

    def of_chain(self, chain: Sequence[Gate]) -> list[int]:
        """Columns of a chain with RZ and RX in turn, starting with RZ."""
        columns: list[int] = []

        def add(name: str, column: int) -> None:
            if (name == "RX") != (len(columns) % 2 == 1):
                columns.append(self.zero)
            columns.append(column)

        for gate in chain:
            column = gate.index[0] if gate.source == "angle" else self.zero + 1 + self.weight(gate)
            if gate.name == "RY":
                add("RZ", self.zero + 1 + self.constant(-pi / 2))
                add("RX", column)
                add("RZ", self.zero + 1 + self.constant(pi / 2))
            else:
                add(gate.name, column)
        if len(columns) % 2 == 1:
            columns.append(self.zero)
        return columns


@dataclass
class _Layer:
    """A layer under construction, and the two-qubit gates of the diagonal after it.

    Attributes:
        embeds: Whether there is an angle.
        turned_after_embedding: Whether a trained rotation follows an angle on its qubit.
    """

    chains: list[list[Gate]]
    diagonal: list[Gate] = field(default_factory=list)
    embeds: bool = False
    turned_after_embedding: bool = False

    def add(self, gate: Gate) -> None:
        """Append a rotation to the chain of its qubit."""
        chain = self.chains[gate.wires[0]]
        self.embeds |= gate.source == "angle"
        self.turned_after_embedding |= bool(chain) and chain[-1].source == "angle" and gate.source == "weight"
        chain.append(gate)


@lru_cache(maxsize=64)
def plan(ansatz: Ansatz) -> Plan:
    """The plan of an ansatz."""
    layers, found = _layers(ansatz), _Columns(ansatz)
    chains = [[found.of_chain(chain) for chain in layer.chains] for layer in layers]
    pairs = np.array([max(len(chain) for chain in layer) // 2 for layer in chains])
    columns = np.full((len(layers), ansatz.qubits, 2 * max(pairs)), found.zero)
    for at, layer in enumerate(chains):
        for wire, chain in enumerate(layer):
            columns[at, wire, : len(chain)] = chain
    wires = dict.fromkeys(pair for layer in range(ansatz.layers) for pair in ansatz.pairs_of(layer))
    gates = tuple((ansatz.gate_kinds.entangler, pair) for pair in wires)
    # Before layer 0 there is no diagonal: the weights are read and come to nothing.
    weights = np.zeros((len(layers), len(gates)), dtype=np.int64)
    for at, before in enumerate(layers[:-1], 1):
        diagonal = {gate.wires: found.weight(gate) for gate in before.diagonal}
        assert len(diagonal) == len(before.diagonal)
        weights[at] = [diagonal[pair] if pair in diagonal else found.constant(0.0) for pair in wires]
    embeds = np.array([layer.embeds for layer in layers], dtype=np.int64)
    table = generators(ansatz.qubits, gates)
    return Plan(ansatz, embeds, pairs, columns, weights, table, tuple(found.constants))


def _layers(ansatz: Ansatz) -> list[_Layer]:
    layers = [_Layer([[] for _ in range(ansatz.qubits)]) for _ in range(1 + ansatz.amplitudes)]
    for gate in ansatz.gates():
        current = layers[-1]
        if len(gate.wires) > 1:
            current.diagonal.append(gate)
            continue
        # Rotations after two-qubit gates open a layer, and so does an upload after an upload.
        if current.diagonal or (gate.source == "angle" and current.turned_after_embedding):
            layers.append(current := _Layer([[] for _ in range(ansatz.qubits)]))
        current.add(gate)
    return layers
