"""The circuit in torch operations, a whole batch at a time, on any torch device.

The backward pass is adjoint differentiation (Jones and Gacon 2020, "Efficient calculation of gradients in
classical simulations of variational quantum algorithms"): it un-computes the state stage by stage, so the
memory is one state and one cotangent for each coordinate, whatever the depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.lowering.in_torch import (
    CircuitOperation,
    apply,
    compose,
    final_state,
    phases,
    rotation,
    split,
    without_large,
)
from quinr_pl.circuit.lowering.stages import Diagonal, Embedding, Rotations, stages
from quinr_pl.native.operation import Gradients


class TorchEngine(Engine):
    """Batched adjoint simulator in torch operations."""

    name = "torch"
    exact = True

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        probability = _Circuit(ansatz)(angles, weights)
        return probability if states is None else probability[:, list(measured)]


class _Circuit(CircuitOperation):
    """Probabilities of all basis states, with the adjoint pass for their gradients."""

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        state = final_state(self.ansatz, angles, weights)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            return _adjoint(self.ansatz, angles, weights, state, cotangent)

        return state.real**2 + state.imag**2, gradients


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
                    a, b = compose(chain, angles)
                    pair = apply(pair, ansatz.qubits, wire, a.conj(), -b)
        elif isinstance(stage, Diagonal):
            turned = -2 * (pair[1].conj() * pair[0]).imag.sum(0)
            generators = torch.as_tensor(stage.generators, dtype=flat.dtype, device=flat.device)
            weights_grad[stage.weights] = generators @ turned
            pair = pair * phases(stage, flat).conj()
        else:
            weights_grad[stage.weights], pair = _backward_rotations(stage, ansatz.qubits, flat, pair)
    if ansatz.amplitudes:
        angles_grad = 2 * pair[1].real
    return angles_grad, weights_grad.reshape(weights.shape)


def _backward_rotations(stage: Rotations, qubits: int, flat: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
    gradients = []
    for wire, theta in zip(stage.wires, flat[stage.weights], strict=True):
        zeros, ones = split(pair, qubits, wire)
        up, down = zeros[1].conj() * ones[0], ones[1].conj() * zeros[0]
        gradients.append((up + down).imag.sum() if stage.name == "RX" else (down - up).real.sum())
        pair = apply(pair, qubits, wire, *rotation(stage.name, -theta))
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
        elif name == "RY":
            grad[:, column] += y
            x, z = cos * x - sin * z, cos * z + sin * x
        else:
            grad[:, column] += z
            x, y = cos * x + sin * y, cos * y - sin * x


def _bloch(pair: Tensor, qubits: int, wire: int) -> tuple[Tensor, Tensor, Tensor]:
    """Im⟨λ|σ|ψ⟩ for each coordinate, σ being X, Y and Z of a wire."""
    zeros, ones = split(pair, qubits, wire)

    def overlap(bra: Tensor, ket: Tensor) -> Tensor:
        return (bra[1].conj() * ket[0]).sum(dim=(-1, -2))

    up, down = overlap(zeros, ones), overlap(ones, zeros)
    return (up + down).imag, (down - up).real, (overlap(zeros, zeros) - overlap(ones, ones)).imag
