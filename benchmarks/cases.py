"""The circuits that the engine benchmark runs, and the arithmetic they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quinr_pl.circuit.ansatz import Ansatz

OUTPUTS = 3
"""Probabilities of the last three basis states are measured, as an image needs and the paper reads out."""


@dataclass(frozen=True)
class Case:
    """A circuit of the benchmark.

    Attributes:
        qubits: Number of qubits.
        folds: Rotations of a qubit in one upload.
        uploads: Number of uploads.
        layers: Entangling layers after each.
    """

    qubits: int
    folds: int
    uploads: int
    layers: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Case:
        """The circuit that a row of results was measured on."""
        return cls(row["qubits"], row["folds"], row["uploads"], row["layers"])

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"n={self.qubits}, {self.folds} folds, {self.uploads}×{self.layers}"

    @property
    def ansatz(self) -> Ansatz:
        """The circuit: shared features, CRZ on ordered pairs."""
        return Ansatz(self.qubits, self.folds * self.qubits, self.uploads, self.layers)

    @property
    def states(self) -> range:
        """Basis states to measure."""
        return range(max(0, 2**self.qubits - OUTPUTS), 2**self.qubits)


MAIN = (Case(4, 3, 3, 2), Case(6, 4, 4, 1))
"""The circuits of the tables in README.md and docs/engines.md."""

SHALLOW = (Case(2, 4, 2, 1), Case(4, 3, 3, 2), Case(6, 4, 4, 1), Case(8, 4, 4, 2), Case(10, 4, 4, 1))
DEEP = (Case(2, 4, 12, 2), Case(4, 3, 12, 2), Case(6, 4, 12, 1), Case(8, 4, 12, 2), Case(10, 4, 12, 1))

CIRCUITS = {"main": MAIN, "shallow": SHALLOW, "deep": DEEP}


def flops(case: Case, mode: str) -> float:
    """Floating-point operations for one coordinate, a multiply-add counting as two.

    What the algorithm of quinr_pl.circuit.engines.cpu.state needs, for D = 2**n amplitudes: an RX is 6
    operations for each amplitude (three shears of pairs), a phase factor 6. Backward, state and cotangent
    undergo both, each qubit's overlaps with X and Y take 8, the overlaps with basis states and their sums
    over qubits 7.
    Angles: cosine and sine count 30; a pair of rotations 24, and as much to unwind it; a polar form 50.
    Loads, stores, index arithmetic and padding count nothing.
    """
    n, d = case.qubits, 2**case.qubits
    diagonals = case.uploads * case.layers if n > 1 else 0
    fold_pairs = case.folds // 2 + 2
    matrices = case.uploads * n * (24 * fold_pairs + 50) + 30 * case.folds * n
    phases = 6 * d * (2 + 1)  # shared, and two groups of qubits
    forward = matrices + 12 * d + diagonals * (phases + 6 * n * d) + 3 * d + 2 * d * OUTPUTS
    if mode == "forward":
        return forward
    unwind = case.uploads * n * 24 * fold_pairs
    undo = diagonals * (12 * n * d + 8 * n * d + 7 * d + 10.5 * d + 12 * d)
    return forward + matrices + unwind + undo + 8 * n * d + (5 + 4 * OUTPUTS) * d
