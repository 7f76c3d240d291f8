"""What the CPU engine computes: the gates of an ansatz as alternating layers and diagonals.

Single-qubit gates between two groups of CRZ gates make a *layer*: one SU(2) matrix for each qubit. A layer
may embed angles, with trained rotations before and after them, or hold trained rotations only. CRZ gates
make a *diagonal*, which has a phase for each basis state. The circuit is layer 0, diagonal 1, layer 1,
diagonal 2 and so on; as the first layer acts on the zero state, it leaves a product state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quinr_pl.circuit.ansatz import Ansatz, Gate
from quinr_pl.circuit.stages import phase

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chains:
    """Trained rotations of every layer and qubit in order, padded with a weight that is always 0.

    Attributes:
        weights: Flat indices into the weights, (length, layers, qubits); the padding is their number.
        about_x: True for RX, False for RZ, same shape.
    """

    weights: Integers
    about_x: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """The circuit of an ansatz as layers and diagonals.

    Attributes:
        ansatz: The circuit.
        upload_of: Which upload a layer embeds, -1 for none: (layers,).
        column_of: Column of the angles for each rotation of an upload, RX and RZ in turn:
            (uploads, qubits, 2 * fold pairs); the padding is ``ansatz.features_count``.
        before: Trained rotations before a layer's embedding, or all of them where it embeds nothing.
        after: Trained rotations after a layer's embedding.
        diagonal_weights: Weights of the diagonal before each layer, (layers, k), padded like a chain.
        generators: Phases for a unit of each of these weights, (layers, k, 2**qubits).
        bits: Value of each qubit in each basis state, (qubits, 2**qubits).
    """

    ansatz: Ansatz
    upload_of: Integers
    column_of: Integers
    before: Chains
    after: Chains
    diagonal_weights: Integers
    generators: Floats
    bits: Floats

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.upload_of)


class _Layer:
    """A layer under construction, and the CRZ gates of the diagonal after it."""

    def __init__(self, qubits: int) -> None:
        self.before: list[list[Gate]] = [[] for _ in range(qubits)]
        self.angles: list[list[Gate]] = [[] for _ in range(qubits)]
        self.after: list[list[Gate]] = [[] for _ in range(qubits)]
        self.diagonal: list[Gate] = []

    def embeds(self) -> bool:
        return any(self.angles)


@lru_cache(maxsize=64)
def plan(ansatz: Ansatz) -> Plan:
    """The plan of an ansatz."""
    layers = _layers(ansatz)
    uploads = np.cumsum([layer.embeds() for layer in layers]) - 1
    upload_of = np.where([layer.embeds() for layer in layers], uploads, -1)
    state = np.arange(ansatz.states)
    diagonals = [[], *(layer.diagonal for layer in layers[:-1])]
    width = max(1, *(len(diagonal) for diagonal in diagonals))
    diagonal_weights = np.full((len(layers), width), _padding(ansatz))
    generators = np.zeros((len(layers), width, ansatz.states))
    for layer, diagonal in enumerate(diagonals):
        for k, gate in enumerate(diagonal):
            diagonal_weights[layer, k] = _flat(ansatz, gate)
            generators[layer, k] = phase(ansatz.qubits, gate)
    return Plan(
        ansatz,
        upload_of.astype(np.int64),
        _columns(ansatz, [layer.angles for layer in layers if layer.embeds()]),
        _chains(ansatz, [layer.before for layer in layers]),
        _chains(ansatz, [layer.after for layer in layers]),
        diagonal_weights,
        generators,
        np.stack([(state >> (ansatz.qubits - 1 - q)) & 1 for q in range(ansatz.qubits)]).astype(np.float64),
    )


def _layers(ansatz: Ansatz) -> list[_Layer]:
    layers = [_Layer(ansatz.qubits)]
    for gate in ansatz.gates():
        wire, current = gate.wires[0], layers[-1]
        if gate.name == "CRZ":
            current.diagonal.append(gate)
            continue
        # Rotations after CRZ gates open a layer, and so does an upload after an upload.
        if current.diagonal or (gate.source == "angle" and any(current.after)):
            layers.append(current := _Layer(ansatz.qubits))
        if gate.source == "angle":
            current.angles[wire].append(gate)
        else:
            (current.after if current.embeds() else current.before)[wire].append(gate)
    return layers


def _padding(ansatz: Ansatz) -> int:
    return int(np.prod(ansatz.weights_shape))


def _flat(ansatz: Ansatz, gate: Gate) -> int:
    return int(np.ravel_multi_index(gate.index, ansatz.weights_shape))


def _chains(ansatz: Ansatz, layers: list[list[list[Gate]]]) -> Chains:
    length = max(len(chain) for layer in layers for chain in layer)
    weights = np.full((length, len(layers), ansatz.qubits), _padding(ansatz))
    about_x = np.zeros(weights.shape, dtype=bool)
    for at, layer in enumerate(layers):
        for wire, chain in enumerate(layer):
            for step, gate in enumerate(chain):
                weights[step, at, wire] = _flat(ansatz, gate)
                about_x[step, at, wire] = gate.name == "RX"
    return Chains(weights, about_x)


def _columns(ansatz: Ansatz, uploads: list[list[list[Gate]]]) -> Integers:
    pairs = -(-ansatz.folds // 2)
    columns = np.full((len(uploads), ansatz.qubits, 2 * pairs), ansatz.features_count)
    for upload, chains in enumerate(uploads):
        for wire, chain in enumerate(chains):
            for fold, gate in enumerate(chain):
                assert gate.name == ("RX", "RZ")[fold % 2]
                columns[upload, wire, fold] = gate.index[0]
    return columns


# Values of the weights ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables:
    """Numbers that the kernels read, for given weights.

    Attributes:
        before: First column (re a, im a, re b, im b) of the matrix before each upload's embedding:
            (uploads, qubits, 4).
        after: The same after it.
        rotation_after: What takes overlaps with X, Y and Z from after these rotations to before them:
            (uploads, qubits, 3, 3).
        fixed: tan(φ/2), sin φ, e^{iα} and e^{iγ} of each layer that embeds nothing, (layers, qubits, 6);
            of the others only the ones and zeros that stay.
        phases: Cosine and sine of each diagonal with the α and γ of fixed layers, (layers, 2**qubits, 2).
        turns: α of fixed layers, (layers, qubits), else 0.
        angles: The weights and a 0.
    """

    before: Floats
    after: Floats
    rotation_after: Floats
    fixed: Floats
    phases: Floats
    turns: Floats
    angles: Floats


def tables(plan: Plan, weights: Floats) -> Tables:
    """The tables for weights, a flat float64 array."""
    angles = np.append(weights, 0.0)
    embeds = plan.upload_of >= 0
    before, after = _matrices(plan.before, angles), _matrices(plan.after, angles)
    rotation = np.broadcast_to(np.eye(3), (*before.shape[:2], 3, 3)).copy()
    for step in reversed(range(len(plan.after.weights))):
        theta = angles[plan.after.weights[step]][..., None]
        _rotate_back(rotation, theta, plan.after.about_x[step][..., None])
    cos, sin = np.hypot(before[..., 0], before[..., 1]), np.hypot(before[..., 2], before[..., 3])
    p, r = np.arctan2(before[..., 1], before[..., 0]), np.arctan2(before[..., 2], -before[..., 3])
    alpha, gamma = np.where(embeds[:, None], 0, r - p), np.where(embeds[:, None], 0, -p - r)
    fixed = np.zeros((*cos.shape, 6))
    fixed[..., 0], fixed[..., 1], fixed[..., 2], fixed[..., 4] = sin / (1 + cos), sin, 1, 1
    phases = np.einsum("lk,lkj->lj", angles[plan.diagonal_weights], plan.generators) + gamma @ plan.bits
    phases[1:] += alpha[:-1] @ plan.bits
    return Tables(
        before[embeds],
        after[embeds],
        rotation[embeds],
        fixed,
        np.stack([np.cos(phases), np.sin(phases)], axis=-1),
        alpha,
        angles,
    )


def _matrices(chains: Chains, angles: Floats) -> Floats:
    """First columns (re a, im a, re b, im b) of the products of chains, (layers, qubits, 4)."""
    shape = chains.weights.shape[1:]
    a, b = np.ones(shape, dtype=complex), np.zeros(shape, dtype=complex)
    for weights, about_x in zip(chains.weights, chains.about_x, strict=True):
        half = angles[weights] / 2
        cos, sin = np.cos(half), np.sin(half)
        turn = cos - 1j * sin
        a, b = (
            np.where(about_x, cos * a - 1j * sin * b, turn * a),
            np.where(about_x, cos * b - 1j * sin * a, turn.conj() * b),
        )
    return np.stack([a.real, a.imag, b.real, b.imag], axis=-1)


def _rotate_back(bloch: Floats, theta: Floats, about_x: npt.NDArray[np.bool_]) -> None:
    """Take overlaps with X, Y and Z, on the last axis but one, from after a rotation to before it."""
    cos, sin = np.cos(theta), np.sin(theta)
    x, y, z = bloch[..., 0, :].copy(), bloch[..., 1, :].copy(), bloch[..., 2, :].copy()
    bloch[..., 0, :] = np.where(about_x, x, cos * x + sin * y)
    bloch[..., 1, :] = np.where(about_x, cos * y + sin * z, cos * y - sin * x)
    bloch[..., 2, :] = np.where(about_x, cos * z - sin * y, z)


def gradient(plan: Plan, table: Tables, phase_sum: Floats, after: Floats, before: Floats) -> Floats:
    """Gradient in the weights from the sums of the backward kernel over coordinates.

    Args:
        plan: The plan.
        table: The tables that the kernel read.
        phase_sum: Overlaps Im⟨λ|j⟩⟨j|ψ⟩ at each diagonal, (layers, 2**qubits).
        after: Overlaps with X, Y and Z after each layer, (layers, qubits, 3).
        before: The same before the embedding, for the layers that embed.

    Returns:
        Flat gradient.
    """
    result = np.zeros(len(table.angles))
    bloch = after[..., None].copy()
    cos, sin = np.cos(table.turns), np.sin(table.turns)
    x, y = bloch[..., 0, 0].copy(), bloch[..., 1, 0].copy()
    bloch[..., 0, 0], bloch[..., 1, 0] = cos * x - sin * y, cos * y + sin * x
    for chains in (plan.after, plan.before):
        if chains is plan.before:
            bloch = np.where((plan.upload_of >= 0)[:, None, None], before, bloch[..., 0])[..., None]
        for step in reversed(range(len(chains.weights))):
            weights, about_x = chains.weights[step], chains.about_x[step]
            result[weights] = np.where(about_x, bloch[..., 0, 0], bloch[..., 2, 0])
            _rotate_back(bloch, table.angles[weights][..., None], about_x[..., None])
    # A phase e^{iφ} on basis state j changes the loss by -2 Im⟨λ|j⟩⟨j|ψ⟩ dφ.
    result[plan.diagonal_weights] = -2 * np.einsum("lj,lkj->lk", phase_sum, plan.generators)
    return result[:-1]
