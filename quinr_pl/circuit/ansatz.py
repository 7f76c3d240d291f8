"""The quantum circuit of quINR as data: which rotations, on which wires, in which order, fed by what.

Nothing else in the package knows the order of gates: the QNode, the drawing, the batched engines and the
count of weights all derive from :class:`Ansatz`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

Features = Literal["shared", "own"]
Pairs = Literal["ordered", "unordered", "ring", "none"]

_MAX_QUBITS = 16

_TWO_TERMS = ((0.5, pi / 2), (-0.5, -pi / 2))
_NEAR, _FAR = ((sqrt(2) + sign) / (4 * sqrt(2)) for sign in (1, -1))
_FOUR_TERMS = ((_NEAR, pi / 2), (-_NEAR, -pi / 2), (-_FAR, 3 * pi / 2), (_FAR, -3 * pi / 2))


@dataclass(frozen=True)
class Gate:
    """One rotation gate: its axis, its qubits and where its angle comes from.

    Attributes:
        name: ``RX``, ``RZ`` or ``CRZ`` (control first), with PennyLane's meaning.
        wires: The qubits it acts on.
        source: ``angle`` when a column of the angles turns it, ``weight`` when a trained weight does.
        index: The column, or (upload, layer, position) in the weights.
    """

    name: Literal["RX", "RZ", "CRZ"]
    wires: tuple[int, ...]
    source: Literal["angle", "weight"]
    index: tuple[int, ...]

    @property
    def shifts(self) -> tuple[tuple[float, float], ...]:
        """The parameter-shift rule: an expectation's derivative in the gate's angle, as (coefficient, shift).

        It is the sum of the coefficients times the expectation at the shifted angles. Generators of RX and RZ
        have one frequency and take two terms; that of CRZ has two, 1/2 and 1, and takes four.
        """
        return _FOUR_TERMS if self.name == "CRZ" else _TWO_TERMS


@dataclass(frozen=True)
class Ansatz:
    """Folded-angle embedding, entangling layers and data re-uploading.

    An upload embeds ``angles`` angles: fold 0 is RX on every qubit, fold 1 RZ, fold 2 RX and so on, the
    last fold padded with zeros. ``layers`` entangling layers follow, each of them RZ and RX on every
    qubit, CRZ on every pair, RZ and RX on every qubit (circuit 5 of Sim et al. 2019, "Expressibility and
    entangling capability of parameterized quantum circuits"). Then comes the next upload.

    Args:
        qubits: Number of qubits.
        angles: Angles that one upload embeds.
        uploads: How often angles are embedded.
        layers: Entangling layers after each upload.
        features: ``shared``: every upload embeds the same angles; ``own``: every upload embeds angles of
            its own.
        pairs: ``ordered``: CRZ on (a, b) and on (b, a); ``unordered``: on (a, b) with a < b; ``ring``: on
            neighbours only; ``none``: nowhere, so that qubits stay apart.
        shuffle_seed: Seed of the shuffles.
        shuffle: Whether shared angles are shuffled from the second upload on.

    Raises:
        QuinrError: If a count is below 1 or an option is unknown.
    """

    qubits: int
    angles: int
    uploads: int = 1
    layers: int = 1
    features: Features = "shared"
    pairs: Pairs = "ordered"
    shuffle_seed: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        for name in ("qubits", "angles", "uploads", "layers"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise QuinrError(f"{name} = {value!r}: needs a whole number of at least 1")
        if self.qubits > _MAX_QUBITS:
            raise QuinrError(f"qubits = {self.qubits}: at most {_MAX_QUBITS} can be simulated")
        for name, options in (("features", get_args(Features)), ("pairs", get_args(Pairs))):
            if getattr(self, name) not in options:
                raise QuinrError(f"{name} = {getattr(self, name)!r}: choose one of {', '.join(options)}")

    @property
    def states(self) -> int:
        """Number of basis states, 2**qubits."""
        return 2**self.qubits

    @property
    def folds(self) -> int:
        """Rotations of one qubit in one upload."""
        return -(-self.angles // self.qubits)

    @property
    def features_count(self) -> int:
        """Width of the angle tensor: columns that all uploads read together."""
        return self.angles * (self.uploads if self.features == "own" else 1)

    @cached_property
    def upload_index(self) -> npt.NDArray[np.int64]:
        """Columns that feed the embedding: (uploads, folds, qubits), -1 where a fold is padded."""
        index = np.full((self.uploads, self.folds * self.qubits), -1, dtype=np.int64)
        shuffle = _shuffles(self.angles, self.shuffle_seed)
        for upload in range(self.uploads):
            column = np.arange(self.angles)
            if self.features == "own":
                column = column + upload * self.angles
            elif upload > 0 and self.shuffle:
                column = np.array(next(shuffle))
            index[upload, : self.angles] = column
        return index.reshape(self.uploads, self.folds, self.qubits)

    @cached_property
    def wire_pairs(self) -> tuple[tuple[int, int], ...]:
        """Control and target of every CRZ of an entangling layer, in order."""
        wires = range(self.qubits)
        if self.pairs == "none":
            return ()
        if self.pairs == "ordered":
            return tuple((a, b) for a in wires for b in wires if a != b)
        if self.pairs == "unordered":
            return tuple((a, b) for a in wires for b in wires if a < b)
        closed = self.qubits if self.qubits > 2 else self.qubits - 1
        return tuple((a, (a + 1) % self.qubits) for a in range(closed))

    @property
    def weights_per_layer(self) -> int:
        """Weights of one entangling layer."""
        return 4 * self.qubits + len(self.wire_pairs)

    @property
    def weights_shape(self) -> tuple[int, int, int]:
        """Shape of the weights: (uploads, layers, weights_per_layer)."""
        return self.uploads, self.layers, self.weights_per_layer

    @cached_property
    def weight_periods(self) -> npt.NDArray[np.float64]:
        """Period of each weight of an entangling layer, (weights_per_layer,).

        2π for RX and RZ, whose sign is a global phase. 4π for CRZ: at 2π it is Z on its control.
        """
        return np.array([4 * pi if gate.name == "CRZ" else 2 * pi for gate in self._entangling(0, 0)])

    def flat_index(self, gate: Gate) -> int:
        """Position of the weight that turns a gate in the flattened weights."""
        return int(np.ravel_multi_index(gate.index, self.weights_shape))

    def gates(self) -> Iterator[Gate]:
        """The circuit, first gate first; padded rotations, which are the identity, are left out."""
        for upload in range(self.uploads):
            yield from self._embedding(upload)
            for layer in range(self.layers):
                yield from self._entangling(upload, layer)

    def _embedding(self, upload: int) -> Iterator[Gate]:
        for fold, columns in enumerate(self.upload_index[upload].tolist()):
            for wire, column in enumerate(columns):
                if column >= 0:
                    yield Gate("RX" if fold % 2 == 0 else "RZ", (wire,), "angle", (column,))

    def _entangling(self, upload: int, layer: int) -> Iterator[Gate]:
        single = [(wire,) for wire in range(self.qubits)]
        order: list[tuple[Literal["RX", "RZ", "CRZ"], tuple[int, ...]]] = [
            *(("RZ", wires) for wires in single),
            *(("RX", wires) for wires in single),
            *(("CRZ", wires) for wires in self.wire_pairs),
            *(("RZ", wires) for wires in single),
            *(("RX", wires) for wires in single),
        ]
        for position, (name, wires) in enumerate(order):
            yield Gate(name, wires, "weight", (upload, layer, position))


def _shuffles(count: int, seed: int) -> Iterator[list[int]]:
    """Permutations of range(count), one after the other.

    A file depends on them, so they are spelled out here rather than taken from a library that may change
    its stream: Fisher-Yates over the upper half of a 32-bit linear congruential generator ("Numerical
    Recipes", section 7.1).
    """
    state = seed % 2**32
    while True:
        permutation = list(range(count))
        for last in range(count - 1, 0, -1):
            state = (1664525 * state + 1013904223) % 2**32
            other = (state >> 16) * (last + 1) >> 16
            permutation[last], permutation[other] = permutation[other], permutation[last]
        yield permutation
