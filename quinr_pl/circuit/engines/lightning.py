"""The reference: the circuit as a PennyLane QNode on lightning.qubit, by its adjoint method."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.lowering.in_torch import probabilities_in_torch
from quinr_pl.native.operation import Gradients, Operation

with warnings.catch_warnings():
    # PennyLane's optional dependencies warn at import, which is nothing a user can act on.
    warnings.simplefilter("ignore")
    import pennylane as qml


def apply_gates(ansatz: Ansatz, angles: Tensor, weights: Tensor) -> None:
    """Queue the gates of the ansatz in the PennyLane circuit under construction.

    Args:
        ansatz: Ansatz of the circuit.
        angles: Angles or amplitudes, (features_count,) or (batch, features_count).
        weights: Rotations in radians, of shape ``ansatz.weights_shape``.
    """
    if ansatz.amplitudes:
        qml.StatePrep(angles, wires=range(ansatz.qubits), validate_norm=False)
    for gate in ansatz.gates():
        turn: list[Tensor] = []
        if gate.source != "nothing":
            turn = [angles[..., gate.index[0]] if gate.source == "angle" else weights[gate.index]]
        getattr(qml, gate.name)(*turn, wires=list(gate.wires))


def projector(ansatz: Ansatz, state: int) -> qml.Projector:
    """The observable whose expectation is the probability of a basis state."""
    bits = [(state >> (ansatz.qubits - 1 - wire)) & 1 for wire in range(ansatz.qubits)]
    return qml.Projector(bits, wires=range(ansatz.qubits))


@lru_cache(maxsize=16)
def qnode(ansatz: Ansatz, states: tuple[int, ...]) -> Callable[[Tensor, Tensor], Sequence[Tensor]]:
    """The QNode of an ansatz: (angles, weights) -> one expectation for each of the basis states.

    lightning.qubit's adjoint method takes expectation values and no probabilities, hence the projectors. It
    has no derivatives in embedded amplitudes: for them default.qubit takes its place.
    """
    simulator, method = ("default.qubit", "backprop") if ansatz.amplitudes else ("lightning.qubit", "adjoint")
    device = qml.device(simulator, wires=ansatz.qubits)

    @qml.qnode(device, interface="torch", diff_method=method)
    def circuit(angles: Tensor, weights: Tensor) -> list:
        apply_gates(ansatz, angles, weights)
        return [qml.expval(projector(ansatz, state)) for state in states]

    return circuit


class LightningEngine(Engine):
    """PennyLane's lightning.qubit through the plain QNode. Slow; what every other engine must agree with."""

    name = "lightning"
    exact = True

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states by a QNode, in float64 on the CPU; see `Engine`."""
        measured = check(ansatz, angles, weights, states)
        if angles.shape[0] == 0 or not measured:
            return angles.new_zeros((angles.shape[0], len(measured))) + 0 * (angles.sum() + weights.sum())
        return _Circuit(ansatz, measured)(angles, weights)


@dataclass(frozen=True)
class _Circuit(Operation):
    """Probabilities of some basis states from angles and weights.

    The adjoint method gives first derivatives; asked for second ones it takes the first for constants.
    """

    ansatz: Ansatz
    states: tuple[int, ...]

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        return in_double(partial(probabilities_in_torch, self.ansatz), angles, weights)[:, list(self.states)]

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        with torch.set_grad_enabled(keep):
            leaves = [tensor.detach().clone().requires_grad_(keep) for tensor in (angles, weights)]
            values = in_double(self._measured, *leaves)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, ...]:
            return torch.autograd.grad(values, leaves, cotangent, retain_graph=True)

        return values.detach(), gradients

    def _measured(self, angles: Tensor, weights: Tensor) -> Tensor:
        outputs = qnode(self.ansatz, self.states)(angles.cpu(), weights.cpu())
        # Some observables come back in float32 whatever went in.
        return torch.stack([output.reshape(-1).double() for output in outputs], dim=1)


def in_double(function: Callable[[Tensor, Tensor], Tensor], angles: Tensor, weights: Tensor) -> Tensor:
    """Values of a function, computed in float64, in the precision and on the device of the angles."""
    return function(angles.double(), weights.double()).to(angles)
