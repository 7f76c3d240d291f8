"""What the CPU engine computes: the gates of an ansatz as alternating layers and diagonals.

Single-qubit gates between two groups of CRZ gates make a *layer*: one SU(2) matrix for each qubit. A layer
may embed angles, among trained rotations, or hold trained rotations only. CRZ gates make a *diagonal*, which
has a phase for each basis state. The circuit is layer 0, diagonal 1, layer 1, diagonal 2 and so on; as the
first layer acts on the zero state, it leaves a product state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.ansatz import Ansatz, Gate
from quinr_pl.circuit.lowering.stages import generators

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """The circuit of an ansatz as layers and diagonals.

    A rotation is known by its *column*: first the columns of the angles, then one that is always 0, then the
    weights.

    Attributes:
        ansatz: Ansatz of the circuit.
        embeds: Whether a layer embeds angles, as 0 or 1: (layers,).
        pairs: How many pairs of rotations a layer has on each qubit, (layers,).
        columns: Columns of the rotations, RZ and RX in turn: (layers, qubits, 2 * pairs), padded.
        diagonal: Flat indices into the weights of the diagonal before each layer, (layers, k), padded.
        generators: Phases for a unit of each weight of a diagonal, (k, 2**qubits): all have the same gates.
    """

    ansatz: Ansatz
    embeds: Integers
    pairs: Integers
    columns: Integers
    diagonal: Integers
    generators: Floats

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.embeds)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return int(np.prod(self.ansatz.weights_shape))


@dataclass
class _Layer:
    """A layer under construction, and the CRZ gates of the diagonal after it.

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
    layers = _layers(ansatz)
    chains = [[_pairs(ansatz, chain) for chain in layer.chains] for layer in layers]
    pairs = np.array([max(len(chain) for chain in layer) // 2 for layer in chains])
    columns = np.full((len(layers), ansatz.qubits, 2 * max(pairs)), ansatz.features_count)
    for at, layer in enumerate(chains):
        for wire, chain in enumerate(layer):
            columns[at, wire, : len(chain)] = chain
    diagonals: list[list[Gate]] = [[], *(layer.diagonal for layer in layers[:-1])]
    gates = tuple(("CRZ", pair) for pair in ansatz.wire_pairs)
    # Where there is no diagonal (before layer 0, on one qubit) the weights are read and come to nothing.
    weights = np.zeros((len(layers), len(gates)), dtype=np.int64)
    for at, diagonal in enumerate(diagonals):
        assert [gate.wires for gate in diagonal] in ([], [wires for _, wires in gates])
        for k, gate in enumerate(diagonal):
            weights[at, k] = ansatz.flat_index(gate)
    embeds = np.array([layer.embeds for layer in layers], dtype=np.int64)
    return Plan(ansatz, embeds, pairs, columns, weights, generators(ansatz.qubits, gates))


def _layers(ansatz: Ansatz) -> list[_Layer]:
    layers = [_Layer([[] for _ in range(ansatz.qubits)])]
    for gate in ansatz.gates():
        current = layers[-1]
        if gate.name == "CRZ":
            current.diagonal.append(gate)
            continue
        # Rotations after CRZ gates open a layer, and so does an upload after an upload.
        if current.diagonal or (gate.source == "angle" and current.turned_after_embedding):
            layers.append(current := _Layer([[] for _ in range(ansatz.qubits)]))
        current.add(gate)
    return layers


def _pairs(ansatz: Ansatz, chain: list[Gate]) -> list[int]:
    """Columns of a chain with RZ and RX in turn, starting with RZ."""
    columns: list[int] = []
    for gate in chain:
        if (gate.name == "RX") != (len(columns) % 2 == 1):
            columns.append(ansatz.features_count)
        column = gate.index[0]
        if gate.source == "weight":
            column = ansatz.features_count + 1 + ansatz.flat_index(gate)
        columns.append(column)
    if len(columns) % 2 == 1:
        columns.append(ansatz.features_count)
    return columns
