"""Quantum circuits as data: which gates, on which wires, in which order, fed by what, and what is measured.

Nothing else in the package knows the order of gates: the QNode, the drawing, the batched engines and the
count of weights all derive from :class:`Ansatz`. What kinds of gates it has, :data:`DESIGNS` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

Features = Literal["shared", "own"]
Pairs = Literal["ordered", "unordered", "ring", "none", "strong"]
Rotation = Literal["RX", "RY", "RZ"]
Entangler = Literal["CRZ", "CZ"]
DesignName = Literal["quinr", "qiren", "qvf"]

_MAX_QUBITS = 16

_TWO_TERMS = ((0.5, pi / 2), (-0.5, -pi / 2))
_NEAR, _FAR = ((sqrt(2) + sign) / (4 * sqrt(2)) for sign in (1, -1))
_FOUR_TERMS = ((_NEAR, pi / 2), (-_NEAR, -pi / 2), (-_FAR, 3 * pi / 2), (_FAR, -3 * pi / 2))


@dataclass(frozen=True)
class Design:
    """The kinds of gates of an ansatz, what it embeds and what is measured.

    Attributes:
        embedding: Rotations of an upload: of fold 0, fold 1 and so on, over and over. None of them: the
            circuit begins in a state whose real amplitudes are embedded.
        activation: What makes the angles a of linear functions h of the features: ``sine``: sin h;
            ``linear``: h; ``softmax``: amplitudes √softmax(h). The ansatz itself takes a as it comes.
        rotations: Of each qubit, in an entangling layer before its entangling gates.
        entangler: Two-qubit gate on every pair of an entangling layer: ``CRZ`` with a weight, or ``CZ``.
        closing: Rotations of each qubit after them.
        leading: Whether entangling layers come before the first upload, too.
        observables: What is measured: the ``probabilities`` of all basis states, or the expectation of
            ``pauli_z`` of every qubit.
    """

    embedding: tuple[Rotation, ...]
    activation: Literal["sine", "linear", "softmax"]
    rotations: tuple[Rotation, ...]
    entangler: Entangler
    closing: tuple[Rotation, ...] = ()
    leading: bool = False
    observables: Literal["probabilities", "pauli_z"] = "probabilities"


DESIGNS: Mapping[str, Design] = {
    # Circuit 5 of Sim et al. 2019, "Expressibility and entangling capability of parameterized quantum
    # circuits", between uploads of folded angles.
    "quinr": Design(("RX", "RZ"), "sine", ("RZ", "RX"), "CRZ", ("RZ", "RX")),
    # The hybrid layer of Zhao et al. 2024, "Quantum Implicit Neural Representations", as its authors' code
    # has it: Rot gates and CZ, with pairs "strong" and two layers.
    "qiren": Design(("RZ",), "linear", ("RZ", "RY", "RZ"), "CZ", leading=True, observables="pauli_z"),
    # After Wang et al. 2025, "Quantum Visual Fields with Neural Amplitude Encoding": amplitudes of a learned
    # energy, then a real circuit with entanglement, then projective measurement.
    "qvf": Design((), "softmax", ("RY",), "CZ", observables="pauli_z"),
}
"""Designs by name, in the order of their numbers in files: new ones go to the end."""


@dataclass(frozen=True)
class Gate:
    """One gate: its kind, its qubits and where its angle comes from.

    Attributes:
        name: ``RX``, ``RY``, ``RZ``, ``CRZ`` (control first) or ``CZ``, with PennyLane's meaning.
        wires: The qubits it acts on.
        source: ``angle`` when a column of the angles turns it, ``weight`` when a trained weight does,
            ``nothing`` for a gate without an angle.
        index: The column, or (block, layer, position) in the weights, or ().
    """

    name: Rotation | Entangler
    wires: tuple[int, ...]
    source: Literal["angle", "weight", "nothing"]
    index: tuple[int, ...]

    @property
    def shifts(self) -> tuple[tuple[float, float], ...]:
        """The parameter-shift rule: an expectation's derivative in the gate's angle, as (coefficient, shift).

        It is the sum of the coefficients times the expectation at the shifted angles. Generators of RX, RY
        and RZ have one frequency and take two terms; that of CRZ has two, 1/2 and 1, and takes four.
        """
        return _FOUR_TERMS if self.name == "CRZ" else _TWO_TERMS


@dataclass(frozen=True)
class Ansatz:
    """Folded-angle embedding, entangling layers and data re-uploading.

    An upload embeds ``angles`` angles: fold 0 is RX on every qubit, fold 1 RZ, fold 2 RX and so on, the
    last fold padded with zeros. A block of ``layers`` entangling layers follows, each of them RZ and RX on
    every qubit, CRZ on every pair, RZ and RX on every qubit. Then comes the next upload. These are the gates
    of the design ``quinr``; see :data:`DESIGNS` for others.

    Args:
        qubits: Number of qubits.
        angles: Angles that one upload embeds, or the number of amplitudes, 2**qubits.
        uploads: How often angles are embedded; amplitudes are embedded once.
        layers: Entangling layers of a block.
        features: ``shared``: every upload embeds the same angles; ``own``: every upload embeds angles of
            its own.
        pairs: ``ordered``: CRZ on (a, b) and on (b, a); ``unordered``: on (a, b) with a < b; ``ring``: on
            neighbours only; ``none``: nowhere, so that qubits stay apart; ``strong``: in layer l of a block
            on every qubit and the one 1 + l mod (qubits - 1) after it (Schuld et al. 2020, "Circuit-centric
            quantum classifiers").
        shuffle_seed: Seed of the shuffles.
        shuffle: Whether shared angles are shuffled from the second upload on.
        design: Name of the kinds of gates.

    Raises:
        QuinrError: If a count is below 1, an option is unknown, or amplitudes have another number.
    """

    qubits: int
    angles: int
    uploads: int = 1
    layers: int = 1
    features: Features = "shared"
    pairs: Pairs = "ordered"
    shuffle_seed: int = 0
    shuffle: bool = True
    design: DesignName = "quinr"

    def __post_init__(self) -> None:
        for name in ("qubits", "angles", "uploads", "layers"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise QuinrError(f"{name} = {value!r}: needs a whole number of at least 1")
        if self.qubits > _MAX_QUBITS:
            raise QuinrError(f"qubits = {self.qubits}: at most {_MAX_QUBITS} can be simulated")
        kinds = {"features": get_args(Features), "pairs": get_args(Pairs), "design": tuple(DESIGNS)}
        for name, options in kinds.items():
            if getattr(self, name) not in options:
                raise QuinrError(f"{name} = {getattr(self, name)!r}: choose one of {', '.join(options)}")
        if self.amplitudes and (self.angles, self.uploads) != (self.states, 1):
            raise QuinrError(
                f"angles = {self.angles}, uploads = {self.uploads}: the design {self.design} embeds the "
                f"{self.states} amplitudes of {self.qubits} qubits once; give {self.states} and 1"
            )

    @property
    def gate_kinds(self) -> Design:
        """The design that the name stands for."""
        return DESIGNS[self.design]

    @property
    def amplitudes(self) -> bool:
        """Whether angles are the amplitudes of the state that the circuit begins in."""
        return not self.gate_kinds.embedding

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

    @property
    def wire_pairs(self) -> tuple[tuple[int, int], ...]:
        """Control and target of every two-qubit gate in the first layer of a block, in order."""
        return self.pairs_of(0)

    def pairs_of(self, layer: int) -> tuple[tuple[int, int], ...]:
        """Control and target of every two-qubit gate in a layer of a block, in order."""
        wires = range(self.qubits)
        if self.pairs == "none" or self.qubits == 1:
            return ()
        if self.pairs == "ordered":
            return tuple((a, b) for a in wires for b in wires if a != b)
        if self.pairs == "unordered":
            return tuple((a, b) for a in wires for b in wires if a < b)
        if self.pairs == "strong":
            distance = 1 + layer % (self.qubits - 1)
            return tuple((a, (a + distance) % self.qubits) for a in wires)
        closed = self.qubits if self.qubits > 2 else self.qubits - 1
        return tuple((a, (a + 1) % self.qubits) for a in range(closed))

    @property
    def blocks(self) -> int:
        """Number of blocks of entangling layers: one after each upload, and maybe one before them."""
        return self.uploads + self.gate_kinds.leading

    @property
    def weights_per_layer(self) -> int:
        """Weights of one entangling layer."""
        kinds = self.gate_kinds
        controlled = len(self.wire_pairs) if kinds.entangler == "CRZ" else 0
        return (len(kinds.rotations) + len(kinds.closing)) * self.qubits + controlled

    @cached_property  # engines ask for it at every call
    def weights_shape(self) -> tuple[int, int, int]:
        """Shape of the weights: (blocks, layers, weights_per_layer)."""
        return self.blocks, self.layers, self.weights_per_layer

    @property
    def expectations(self) -> bool:
        """Whether expectations of Pauli Z are measured, rather than probabilities."""
        return self.gate_kinds.observables == "pauli_z"

    @property
    def observables(self) -> int:
        """Number of values that are measured: of 2**qubits states, or of every qubit."""
        return self.qubits if self.expectations else self.states

    @property
    def pauli_z(self) -> npt.NDArray[np.float64]:
        """Expectations of Pauli Z as combinations of the probabilities: (qubits, 2**qubits) of 1 and -1."""
        bits = np.arange(self.states) >> np.arange(self.qubits)[::-1, None] & 1
        signs: npt.NDArray[np.float64] = np.where(bits, -1.0, 1.0)
        return signs

    @cached_property
    def weight_periods(self) -> npt.NDArray[np.float64]:
        """Period of each weight of an entangling layer, (weights_per_layer,).

        2π for RX, RY and RZ, whose sign is a global phase. 4π for CRZ: at 2π it is Z on its control.
        """
        turned = [gate.name for gate in self._entangling(0, 0) if gate.source == "weight"]
        return np.array([4 * pi if name == "CRZ" else 2 * pi for name in turned])

    def flat_index(self, gate: Gate) -> int:
        """Position of the weight that turns a gate in the flattened weights."""
        return int(np.ravel_multi_index(gate.index, self.weights_shape))

    def gates(self) -> Iterator[Gate]:
        """The circuit, first gate first; padded rotations, which are the identity, are left out.

        Of embedded amplitudes there is no gate: the circuit begins in their state instead of in state 0.
        """
        leading = int(self.gate_kinds.leading)
        for block in range(self.blocks):
            if block >= leading and not self.amplitudes:
                yield from self._embedding(block - leading)
            for layer in range(self.layers):
                yield from self._entangling(block, layer)

    def _embedding(self, upload: int) -> Iterator[Gate]:
        names = self.gate_kinds.embedding
        for fold, columns in enumerate(self.upload_index[upload].tolist()):
            for wire, column in enumerate(columns):
                if column >= 0:
                    yield Gate(names[fold % len(names)], (wire,), "angle", (column,))

    def _entangling(self, block: int, layer: int) -> Iterator[Gate]:
        kinds = self.gate_kinds
        single = [(wire,) for wire in range(self.qubits)]
        order: list[tuple[Rotation | Entangler, tuple[int, ...]]] = [
            *((name, wires) for name in kinds.rotations for wires in single),
            *((kinds.entangler, wires) for wires in self.pairs_of(layer)),
            *((name, wires) for name in kinds.closing for wires in single),
        ]
        position = 0
        for name, wires in order:
            if name == "CZ":
                yield Gate(name, wires, "nothing", ())
            else:
                yield Gate(name, wires, "weight", (block, layer, position))
                position += 1


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
