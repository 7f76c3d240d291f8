"""Circuits with errors in their gates: density matrices, and trajectories of pure states.

After every gate each of its qubits passes a depolarizing and then an amplitude damping channel (Nielsen &
Chuang 2010, "Quantum Computation and Quantum Information", sections 8.3.4 and 8.3.5, with PennyLane's
parameters).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz, Gate
from quinr_pl.circuit.lowering.in_torch import apply, initial_state, rotation, split
from quinr_pl.circuit.lowering.stages import generators


@dataclass(frozen=True)
class GateErrors:
    """Probabilities of errors on a qubit after a gate, in [0, 1].

    Attributes:
        depolarizing: That X, Y or Z, each as often, strikes the qubit.
        amplitude_damping: That a qubit in state 1 falls to 0.
    """

    depolarizing: float
    amplitude_damping: float

    @property
    def none(self) -> bool:
        """Whether gates are without errors."""
        return self.depolarizing == self.amplitude_damping == 0


def by_density_matrix(ansatz: Ansatz, angles: Tensor, weights: Tensor, errors: GateErrors) -> Tensor:
    """Probabilities of the basis states.

    Args:
        ansatz: Ansatz of the circuit.
        angles: float64, (batch, ansatz.features_count), in radians.
        weights: float64, of shape ansatz.weights_shape, in radians.
        errors: Of the gates.

    Returns:
        float64, (batch, 2**qubits). Memory is some multiples of batch * 4**qubits complex numbers.
    """
    qubits = ansatz.qubits
    # Indices of kets, then of bras: as a state of twice as many qubits.
    state = initial_state(ansatz, angles)
    matrix = (state[:, :, None] * state.conj()[:, None, :]).flatten(1)
    for gate in ansatz.gates():
        theta = _angle(gate, angles, weights)
        if gate.name in ("RX", "RY"):
            a, b = rotation(gate.name, theta)
            matrix = apply(matrix, 2 * qubits, gate.wires[0], a, b)
            matrix = apply(matrix, 2 * qubits, qubits + gate.wires[0], a.conj(), b.conj())
        else:
            phase = _phases(gate, qubits, theta)
            matrix = (phase[:, :, None] * phase.conj()[:, None, :]).flatten(1) * matrix
        if not errors.none:
            for wire in gate.wires:
                matrix = _channel(matrix, qubits, wire, errors)
    return matrix.unflatten(1, (2**qubits, 2**qubits)).diagonal(dim1=1, dim2=2).real.clone()


def _channel(matrix: Tensor, qubits: int, wire: int, errors: GateErrors) -> Tensor:
    """A qubit's errors: its coherences shrink, and its populations mix."""
    kept = 1 - 4 / 3 * errors.depolarizing  # of the Bloch vector; the rest becomes maximally mixed
    flip, fall = (1 - kept) / 2, errors.amplitude_damping
    below, after = 2 ** (qubits - 1 - wire), 2 ** (qubits - 1)
    parts = matrix.unflatten(1, (2**wire, 2, after, 2, below))
    zero, one = parts[:, :, 0, :, 0], parts[:, :, 1, :, 1]
    result = kept * (1 - fall) ** 0.5 * parts
    up = flip * zero + (1 - flip) * one
    result[:, :, 0, :, 0] = (1 - flip) * zero + flip * one + fall * up
    result[:, :, 1, :, 1] = (1 - fall) * up
    return result.flatten(1)


def by_trajectory(
    ansatz: Ansatz, angles: Tensor, weights: Tensor, errors: GateErrors, generator: torch.Generator
) -> Tensor:
    """Probabilities of the basis states after errors that are drawn: right in the mean.

    Dalibard, Castin & Mølmer 1992, "Wave-function approach to dissipative processes in quantum optics".

    Args:
        ansatz: Ansatz of the circuit.
        angles: As for `by_density_matrix`; each row draws its own errors.
        weights: Likewise.
        errors: Of the gates.
        generator: Draws the errors, on the angles' device.

    Returns:
        float64, (batch, 2**qubits).
    """
    qubits = ansatz.qubits
    state = initial_state(ansatz, angles)
    for gate in ansatz.gates():
        theta = _angle(gate, angles, weights)
        if gate.name in ("RX", "RY"):
            state = apply(state, qubits, gate.wires[0], *rotation(gate.name, theta))
        else:
            state = _phases(gate, qubits, theta) * state
        for wire in gate.wires:
            if errors.depolarizing:
                state = _struck(state, qubits, wire, errors.depolarizing, generator)
            if errors.amplitude_damping:
                state = _damped(state, qubits, wire, errors.amplitude_damping, generator)
    return state.real**2 + state.imag**2


def _struck(state: Tensor, qubits: int, wire: int, share: float, generator: torch.Generator) -> Tensor:
    """States of which a share meet X, Y or Z; global phases are left out."""
    third = (_uniform(state, generator) / (share / 3)).floor()
    flips, signs = third < 2, (third == 1) | (third == 2)  # X, Y, Z by the third that is drawn
    zeros, ones = split(state, qubits, wire)
    flips, sign = flips[:, None, None], torch.where(signs, -1.0, 1.0)[:, None, None]
    mixed = torch.where(flips, ones, zeros), sign * torch.where(flips, zeros, ones)
    return torch.stack(mixed, dim=-2).flatten(1)


def _damped(state: Tensor, qubits: int, wire: int, share: float, generator: torch.Generator) -> Tensor:
    """States of which those that fall have the wire at 0, and the others lean toward it."""
    zeros, ones = split(state, qubits, wire)
    excited = (ones.real**2 + ones.imag**2).sum((1, 2))
    falls = _uniform(state, generator) < share * excited
    norm = torch.where(falls, excited, 1 - share * excited).rsqrt()[:, None, None]
    falls = falls[:, None, None]
    zeros = norm * torch.where(falls, ones, zeros)
    ones = norm * torch.where(falls, torch.zeros_like(ones), (1 - share) ** 0.5 * ones)
    return torch.stack([zeros, ones], dim=-2).flatten(1)


def _uniform(state: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(len(state), dtype=torch.float64, device=state.device, generator=generator)


def _angle(gate: Gate, angles: Tensor, weights: Tensor) -> Tensor:
    """The gate's angle: one for each row, or one for all in a batch of 1; 1 for a gate without an angle."""
    if gate.source == "nothing":
        return angles.new_ones(1)
    return angles[:, gate.index[0]] if gate.source == "angle" else weights[gate.index].expand(1)


def _phases(gate: Gate, qubits: int, theta: Tensor) -> Tensor:
    """Factors of the basis states under RZ, CRZ or CZ, (batch or 1, 2**qubits)."""
    [generator] = generators(qubits, ((gate.name, gate.wires),))
    phase = theta[:, None] * torch.as_tensor(generator, device=theta.device)
    return torch.polar(torch.ones_like(phase), phase)


def misread(probabilities: Tensor, qubits: int, share: float) -> Tensor:
    """Probabilities of what is read where each qubit's bit is read wrong with a probability.

    Args:
        probabilities: (batch, 2**qubits).
        qubits: Number of qubits.
        share: Probability that a bit is read wrong.
    """
    for wire in range(qubits):
        zeros, ones = split(probabilities, qubits, wire)
        read = (1 - share) * zeros + share * ones, share * zeros + (1 - share) * ones
        probabilities = torch.stack(read, dim=-2).flatten(1)
    return probabilities
