"""The circuit in torch operations: what every engine falls back to where kernels give numbers only.

Kernels give values and first derivatives. Derivatives of derivatives, forward mode and the transforms of
``torch.func`` take these operations instead, on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.lowering.stages import LARGE, Diagonal, Embedding, stages
from quinr_pl.native.operation import Operation


def probabilities_in_torch(ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
    """Probabilities of all basis states by torch operations, differentiable as often as one likes.

    Autograd keeps the state after every gate.

    Args:
        ansatz: Ansatz of the circuit.
        angles: Embedding angles in radians, or amplitudes, (batch, ansatz.features_count).
        weights: Rotations in radians, of shape ``ansatz.weights_shape``.

    Returns:
        (batch, 2**qubits).
    """
    state = final_state(ansatz, angles, weights)
    return state.real**2 + state.imag**2


@dataclass(frozen=True)
class CircuitOperation(Operation):
    """Probabilities of all basis states from angles and weights, for an engine to compute its own way.

    Attributes:
        ansatz: Ansatz of the circuit.
    """

    ansatz: Ansatz

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        """The operation in torch; see `Operation`."""
        return probabilities_in_torch(self.ansatz, angles, weights)


def final_state(ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
    """Amplitudes, (batch, 2**qubits)."""
    state = initial_state(ansatz, angles)
    flat = without_large(weights.reshape(-1))
    for stage in stages(ansatz):
        if isinstance(stage, Embedding):
            for wire, chain in enumerate(stage.chains):
                if chain:
                    state = apply(state, ansatz.qubits, wire, *compose(chain, angles))
        elif isinstance(stage, Diagonal):
            state = state * phases(stage, flat)
        else:
            for wire, theta in zip(stage.wires, flat[stage.weights], strict=True):
                state = apply(state, ansatz.qubits, wire, *rotation(stage.name, theta))
    return state


def initial_state(ansatz: Ansatz, angles: Tensor) -> Tensor:
    """State 0, or the amplitudes that are embedded, (batch, 2**qubits)."""
    if ansatz.amplitudes:
        return angles.to(angles.dtype.to_complex())
    state = torch.zeros(len(angles), ansatz.states, dtype=angles.dtype.to_complex(), device=angles.device)
    state[:, 0] = 1
    return state


def compose(chain: tuple[tuple[str, int], ...], angles: Tensor) -> tuple[Tensor, Tensor]:
    """First column (a, b) of a chain's SU(2) matrix ((a, -b*), (b, a*)), one for each coordinate."""
    a, b = rotation(chain[0][0], angles[:, chain[0][1]])
    for name, column in chain[1:]:
        c, d = rotation(name, angles[:, column])
        a, b = c * a - d.conj() * b, d * a + c.conj() * b
    return a, b


def without_large(weights: Tensor) -> Tensor:
    """Weights in radians, large ones less a multiple of 4π, after which every gate is what it was."""
    half = weights / 2
    return torch.where(weights.abs() > LARGE, 2 * torch.atan2(half.sin(), half.cos()), weights)


def rotation(name: str, theta: Tensor) -> tuple[Tensor, Tensor]:
    """First column (a, b) of the SU(2) matrix of an RX, RY or RZ, in the shape of its angle."""
    cos, sin, zero = (theta / 2).cos(), (theta / 2).sin(), torch.zeros_like(theta)
    if name == "RX":
        return torch.complex(cos, zero), torch.complex(zero, -sin)
    if name == "RY":
        return torch.complex(cos, zero), torch.complex(sin, zero)
    return torch.complex(cos, -sin), torch.complex(zero, zero)


def split(state: Tensor, qubits: int, wire: int) -> tuple[Tensor, Tensor]:
    """Amplitudes with the wire at 0 and at 1: (..., 2**wire, 2**(qubits - 1 - wire)) each."""
    return state.unflatten(-1, (2**wire, 2, 2 ** (qubits - 1 - wire))).unbind(-2)


def apply(state: Tensor, qubits: int, wire: int, a: Tensor, b: Tensor) -> Tensor:
    """Multiply a wire by ((a, -b*), (b, a*)); a and b are numbers or one for each coordinate."""
    zeros, ones = split(state, qubits, wire)
    a, b = a[..., None, None], b[..., None, None]
    mixed = torch.stack([a * zeros - b.conj() * ones, b * zeros + a.conj() * ones], dim=-2)
    return mixed.flatten(-3)


def phases(stage: Diagonal, flat: Tensor) -> Tensor:
    """Factors of a diagonal for the flattened weights, (2**qubits,)."""
    generators, constant = (
        torch.as_tensor(table, dtype=flat.dtype, device=flat.device)
        for table in (stage.generators, stage.constant)
    )
    angle = flat[stage.weights] @ generators + constant
    return torch.polar(torch.ones_like(angle), angle)
