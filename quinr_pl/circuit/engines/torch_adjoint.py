"""The circuit in torch operations, a whole batch at a time, on any torch device.

The backward pass is adjoint differentiation (Jones and Gacon 2020, "Efficient calculation of gradients in
classical simulations of variational quantum algorithms"): it un-computes the state stage by stage, so the
memory is one state and one cotangent for each coordinate, whatever the depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import check
from quinr_pl.circuit.lowering.stages import LARGE, Diagonal, Embedding, Rotations, stages
from quinr_pl.native.operation import Gradients, Operation


class TorchEngine:
    """Batched adjoint simulator in torch operations."""

    name = "torch"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """See :meth:`quinr_pl.circuit.engines.registry.Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        probability = _Circuit(ansatz)(angles, weights)
        return probability if states is None else probability[:, list(measured)]


def probabilities_in_torch(ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
    """Probabilities of all basis states by torch operations, differentiable as often as one likes.

    Autograd keeps the state after every gate.

    Args:
        ansatz: The circuit.
        angles: (batch, ansatz.features_count).
        weights: ansatz.weights_shape.

    Returns:
        (batch, 2**qubits).
    """
    state = _final_state(ansatz, angles, weights)
    return state.real**2 + state.imag**2


@dataclass(frozen=True)
class _Circuit(Operation):
    """Probabilities of all basis states from angles and weights."""

    ansatz: Ansatz

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        return probabilities_in_torch(self.ansatz, angles, weights)

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        state = _final_state(self.ansatz, angles, weights)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            return _adjoint(self.ansatz, angles, weights, state, cotangent)

        return state.real**2 + state.imag**2, gradients


def _final_state(ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
    """Amplitudes, (batch, 2**qubits)."""
    state = torch.zeros(len(angles), ansatz.states, dtype=angles.dtype.to_complex(), device=angles.device)
    state[:, 0] = 1
    flat = without_large(weights.reshape(-1))
    for stage in stages(ansatz):
        if isinstance(stage, Embedding):
            for wire, chain in enumerate(stage.chains):
                if chain:
                    state = _apply(state, ansatz.qubits, wire, *_compose(chain, angles))
        elif isinstance(stage, Diagonal):
            state = state * _phases(stage, flat)
        else:
            for wire, theta in zip(stage.wires, flat[stage.weights], strict=True):
                state = _apply(state, ansatz.qubits, wire, *_rotation("RX", theta))
    return state


def _adjoint(
    ansatz: Ansatz, angles: Tensor, weights: Tensor, state: Tensor, cotangent: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients in angles and weights, from the final amplitudes and the cotangent of the probabilities."""
    # Both evolve by the same unitaries: one batch of twice the size.
    pair = torch.stack([state, state * cotangent])
    flat, angles_grad = without_large(weights.reshape(-1)), torch.zeros_like(angles)
    weights_grad = torch.zeros_like(flat)
    for stage in reversed(stages(ansatz)):
        if isinstance(stage, Embedding):
            for wire, chain in enumerate(stage.chains):
                if chain:
                    _backward_chain(_bloch(pair, ansatz.qubits, wire), chain, angles, angles_grad)
                    a, b = _compose(chain, angles)
                    pair = _apply(pair, ansatz.qubits, wire, a.conj(), -b)
        elif isinstance(stage, Diagonal):
            turned = -2 * (pair[1].conj() * pair[0]).imag.sum(0)
            generators = torch.as_tensor(stage.generators, dtype=flat.dtype, device=flat.device)
            weights_grad[stage.weights] = generators @ turned
            pair = pair * _phases(stage, flat).conj()
        else:
            weights_grad[stage.weights], pair = _backward_rotations(stage, ansatz.qubits, flat, pair)
    return angles_grad, weights_grad.reshape(weights.shape)


def _backward_rotations(stage: Rotations, qubits: int, flat: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
    gradients = []
    for wire, theta in zip(stage.wires, flat[stage.weights], strict=True):
        zeros, ones = _split(pair, qubits, wire)
        gradients.append((zeros[1].conj() * ones[0] + ones[1].conj() * zeros[0]).imag.sum())
        pair = _apply(pair, qubits, wire, *_rotation("RX", -theta))
    return torch.stack(gradients), pair


def _backward_chain(
    bloch: tuple[Tensor, Tensor, Tensor], chain: tuple[tuple[str, int], ...], angles: Tensor, grad: Tensor
) -> None:
    """Add the gradients of a chain's angles, given Im⟨λ|σ|ψ⟩ after the chain, σ being X, Y and Z."""
    x, y, z = bloch
    for name, column in reversed(chain):
        cos, sin = angles[:, column].cos(), angles[:, column].sin()
        if name == "RX":
            grad[:, column] += x
            y, z = cos * y + sin * z, cos * z - sin * y
        else:
            grad[:, column] += z
            x, y = cos * x + sin * y, cos * y - sin * x


def _bloch(pair: Tensor, qubits: int, wire: int) -> tuple[Tensor, Tensor, Tensor]:
    """Im⟨λ|σ|ψ⟩ for each coordinate, σ being X, Y and Z of a wire."""
    zeros, ones = _split(pair, qubits, wire)

    def overlap(bra: Tensor, ket: Tensor) -> Tensor:
        return (bra[1].conj() * ket[0]).sum(dim=(-1, -2))

    up, down = overlap(zeros, ones), overlap(ones, zeros)
    return (up + down).imag, (down - up).real, (overlap(zeros, zeros) - overlap(ones, ones)).imag


def _compose(chain: tuple[tuple[str, int], ...], angles: Tensor) -> tuple[Tensor, Tensor]:
    """First column (a, b) of a chain's SU(2) matrix ((a, -b*), (b, a*)), one for each coordinate."""
    a, b = _rotation(chain[0][0], angles[:, chain[0][1]])
    for name, column in chain[1:]:
        c, d = _rotation(name, angles[:, column])
        a, b = c * a - d.conj() * b, d * a + c.conj() * b
    return a, b


def without_large(weights: Tensor) -> Tensor:
    """Weights in radians, large ones less a multiple of 4π, after which every gate is what it was."""
    half = weights / 2
    return torch.where(weights.abs() > LARGE, 2 * torch.atan2(half.sin(), half.cos()), weights)


def _rotation(name: str, theta: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin, zero = (theta / 2).cos(), (theta / 2).sin(), torch.zeros_like(theta)
    if name == "RX":
        return torch.complex(cos, zero), torch.complex(zero, -sin)
    return torch.complex(cos, -sin), torch.complex(zero, zero)


def _split(state: Tensor, qubits: int, wire: int) -> tuple[Tensor, Tensor]:
    """Amplitudes with the wire at 0 and at 1: (..., 2**wire, 2**(qubits - 1 - wire)) each."""
    return state.unflatten(-1, (2**wire, 2, 2 ** (qubits - 1 - wire))).unbind(-2)


def _apply(state: Tensor, qubits: int, wire: int, a: Tensor, b: Tensor) -> Tensor:
    """Multiply a wire by ((a, -b*), (b, a*)); a and b are numbers or one for each coordinate."""
    zeros, ones = _split(state, qubits, wire)
    a, b = a[..., None, None], b[..., None, None]
    mixed = torch.stack([a * zeros - b.conj() * ones, b * zeros + a.conj() * ones], dim=-2)
    return mixed.flatten(-3)


def _phases(stage: Diagonal, flat: Tensor) -> Tensor:
    generators = torch.as_tensor(stage.generators, dtype=flat.dtype, device=flat.device)
    angle = flat[stage.weights] @ generators
    return torch.polar(torch.ones_like(angle), angle)
