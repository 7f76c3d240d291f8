"""The gates of an ansatz gathered into the few operations that a batched simulator needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.ansatz import Ansatz, Gate

LARGE = 64.0
"""Radians from which on weights of CRZ gates are not summed as they are: phases would drown in rounding."""


@dataclass(frozen=True)
class Embedding:
    """Rotations turned by angles, which differ from coordinate to coordinate.

    Attributes:
        chains: For each qubit its rotations in order, (name, column of the angles).
    """

    chains: tuple[tuple[tuple[str, int], ...], ...]


@dataclass(frozen=True)
class Diagonal:
    """Neighbouring RZ, CRZ and CZ: basis state j turns by ``(weights @ generators + constant)[j]``.

    Attributes:
        weights: Flat indices into the weights, (k,).
        generators: Phase of each basis state for a unit of each weight, (k, 2**qubits).
        constant: Phase of each basis state from gates without a weight, (2**qubits,).
    """

    weights: npt.NDArray[np.int64]
    generators: npt.NDArray[np.float64]
    constant: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rotations:
    """Neighbouring RX, or RY, of trained weights on distinct qubits.

    Attributes:
        name: RX or RY.
        weights: Flat indices into the weights, one for each of ``wires``.
        wires: Qubits that are rotated.
    """

    name: str
    weights: npt.NDArray[np.int64]
    wires: tuple[int, ...]


Stage = Embedding | Diagonal | Rotations


@lru_cache(maxsize=64)
def stages(ansatz: Ansatz) -> tuple[Stage, ...]:
    """The circuit as stages, first stage first."""
    gathered: list[Stage] = []
    run: list[Gate] = []
    for gate in [*ansatz.gates(), None]:
        if run and (gate is None or _kind(gate) != _kind(run[0])):
            gathered.append(_gather(ansatz, run))
            run = []
        if gate is not None:
            run.append(gate)
    return tuple(gathered)


def _kind(gate: Gate) -> str:
    if gate.source == "angle":
        return "embedding"
    return gate.name if gate.name in ("RX", "RY") else "diagonal"


def _gather(ansatz: Ansatz, run: list[Gate]) -> Stage:
    kind = _kind(run[0])
    if kind == "embedding":
        chains: list[list[tuple[str, int]]] = [[] for _ in range(ansatz.qubits)]
        for gate in run:
            chains[gate.wires[0]].append((gate.name, gate.index[0]))
        return Embedding(tuple(tuple(chain) for chain in chains))
    turned = [gate.source == "weight" for gate in run]
    weights = np.array([ansatz.flat_index(gate) for gate in run if gate.source == "weight"], dtype=np.int64)
    if kind != "diagonal":
        return Rotations(kind, weights, tuple(gate.wires[0] for gate in run))
    table = generators(ansatz.qubits, tuple((gate.name, gate.wires) for gate in run))
    return Diagonal(weights, table[turned], table[np.invert(turned)].sum(0))


@lru_cache(maxsize=64)
def generators(qubits: int, gates: tuple[tuple[str, tuple[int, ...]], ...]) -> npt.NDArray[np.float64]:
    """Phases that a unit of each RZ's or CRZ's parameter gives to the basis states, (gates, 2**qubits).

    CZ, which has no parameter, counts as turned by 1.

    Args:
        qubits: Number of qubits.
        gates: Name and wires of each gate.
    """
    state = np.arange(2**qubits)
    table = np.empty((len(gates), 2**qubits))
    for row, (name, wires) in zip(table, gates, strict=True):
        bits = [(state >> (qubits - 1 - wire)) & 1 for wire in wires]
        row[:] = np.pi * bits[-1] if name == "CZ" else bits[-1] - 0.5
        if len(wires) > 1:
            row *= bits[0]
    return table
