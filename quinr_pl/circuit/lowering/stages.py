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
    """Neighbouring RZ and CRZ of trained weights: basis state j turns by ``(weights @ generators)[j]``.

    Attributes:
        weights: Flat indices into the weights, (k,).
        generators: Phase of each basis state for a unit of each weight, (k, 2**qubits).
    """

    weights: npt.NDArray[np.int64]
    generators: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rotations:
    """Neighbouring RX of trained weights on distinct qubits.

    Attributes:
        weights: Flat indices into the weights, one for each of ``wires``.
        wires: Qubits that are rotated.
    """

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
    return "rotations" if gate.name == "RX" else "diagonal"


def _gather(ansatz: Ansatz, run: list[Gate]) -> Stage:
    kind = _kind(run[0])
    if kind == "embedding":
        chains: list[list[tuple[str, int]]] = [[] for _ in range(ansatz.qubits)]
        for gate in run:
            chains[gate.wires[0]].append((gate.name, gate.index[0]))
        return Embedding(tuple(tuple(chain) for chain in chains))
    weights = np.array([ansatz.flat_index(gate) for gate in run])
    if kind == "rotations":
        return Rotations(weights, tuple(gate.wires[0] for gate in run))
    return Diagonal(weights, generators(ansatz.qubits, tuple((gate.name, gate.wires) for gate in run)))


@lru_cache(maxsize=64)
def generators(qubits: int, gates: tuple[tuple[str, tuple[int, ...]], ...]) -> npt.NDArray[np.float64]:
    """Phases that a unit of each RZ's or CRZ's parameter gives to the basis states, (gates, 2**qubits).

    Args:
        qubits: Number of qubits.
        gates: Name and wires of each gate.
    """
    state = np.arange(2**qubits)
    table = np.empty((len(gates), 2**qubits))
    for row, (name, wires) in zip(table, gates, strict=True):
        bits = [(state >> (qubits - 1 - wire)) & 1 for wire in wires]
        row[:] = bits[-1] - 0.5
        if name == "CRZ":
            row *= bits[0]
    return table
