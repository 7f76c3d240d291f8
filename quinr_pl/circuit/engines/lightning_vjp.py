"""lightning.qubit without the QNode: its own gates and its own adjoint pass, called directly.

One vector-Jacobian product serves all outputs of a coordinate: the cotangent of the state is the state
weighted by the cotangents of the probabilities. The interface is private to Lightning, so it is tried on a
small circuit before it is used; where it has changed, the QNode takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.lightning import LightningEngine, in_double
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.lowering.in_torch import probabilities_in_torch
from quinr_pl.native.operation import Gradients, Operation

Floats = npt.NDArray[np.float64]


class LightningVjpEngine(Engine):
    """lightning.qubit through its state-vector and adjoint classes: the reference's numbers, only sooner."""

    name = "lightning_vjp"
    exact = True

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states, in float64 on the CPU; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        if ansatz.amplitudes or not available():
            return LightningEngine().probabilities(ansatz, angles, weights, states)
        probability = _Circuit(ansatz)(angles, weights)
        return probability if states is None else probability[:, list(measured)]


@cache
def available() -> bool:
    """Whether the installed Lightning offers the private interface and it computes what the QNode does."""
    ansatz = Ansatz(qubits=2, angles=3)
    generator = torch.Generator().manual_seed(0)
    angles = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    weights = torch.randn(ansatz.weights_shape, generator=generator, dtype=torch.float64)
    results = []
    try:
        for run in (partial(LightningEngine().probabilities, ansatz), _Circuit(ansatz)):
            leaves = angles.clone().requires_grad_(), weights.clone().requires_grad_()
            probabilities = run(*leaves)
            (probabilities * torch.arange(4.0, dtype=torch.float64)).sum().backward()
            results.append([probabilities.detach(), leaves[0].grad, leaves[1].grad])
        return all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(*results, strict=True))
    except Exception:  # whatever a foreign version raises, the QNode is there
        return False


class _Simulator:
    """Lightning's gates for one ansatz.

    Args:
        ansatz: Ansatz of the circuit.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        compiled = import_module("pennylane_lightning.lightning_qubit_ops")
        gates = list(ansatz.gates())
        self._state = compiled.StateVectorC128(ansatz.qubits)
        self._vjp = compiled.algorithms.VectorJacobianProductC128()
        self._list = compiled.algorithms.create_ops_listC128
        self._gates: list[tuple[Callable[..., None], list[int]]] = [
            (getattr(self._state, gate.name), list(gate.wires)) for gate in gates
        ]
        count = len(gates)
        self._structure: tuple[Any, ...] = (
            [gate.name for gate in gates],
            [list(gate.wires) for gate in gates],
            [False] * count,
            [np.empty(0, complex)] * count,
            [[]] * count,
            [[]] * count,
        )
        # Column of each gate's parameter among angles, then weights; of gates that have one.
        self.columns = np.array(
            [
                gate.index[0] if gate.source == "angle" else ansatz.features_count + ansatz.flat_index(gate)
                for gate in gates
                if gate.source != "nothing"
            ]
        )
        self._has_parameter = [gate.source != "nothing" for gate in gates]
        self._amplitudes = np.empty(ansatz.states, complex)

    def run(self, parameters: Floats) -> npt.NDArray[np.complex128]:
        """Final amplitudes, valid until the next run."""
        self._state.resetStateVector()
        for (apply, wires), own in zip(self._gates, self._by_gate(parameters), strict=True):
            apply(wires, False, own)
        self._state.getState(self._amplitudes)
        return self._amplitudes

    def gradient(
        self, parameters: Floats, amplitudes: npt.NDArray[np.complex128], cotangent: Floats
    ) -> Floats:
        """Gradient of ``cotangent @ probabilities`` in every gate's parameter."""
        names, wires, *rest = self._structure
        operations = self._list(names, self._by_gate(parameters), wires, *rest)
        self._state.updateData(amplitudes)
        product = self._vjp(self._state, operations, cotangent * amplitudes, list(range(len(parameters))))
        return 2 * np.asarray(product).real

    def _by_gate(self, parameters: Floats) -> list[list[float]]:
        """The parameters of each gate: one or none."""
        values = iter(parameters.tolist())
        return [[next(values)] if has else [] for has in self._has_parameter]


@dataclass(frozen=True)
class _Circuit(Operation):
    """Probabilities of all basis states from angles and weights."""

    ansatz: Ansatz

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        return in_double(partial(probabilities_in_torch, self.ansatz), angles, weights)

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        simulator = _Simulator(self.ansatz)
        values = [t.double().cpu() for t in (angles, weights.reshape(1, -1).expand(len(angles), -1))]
        parameters = torch.cat(values, dim=1).numpy()[:, simulator.columns]
        amplitudes = np.empty((len(angles), self.ansatz.states), complex)
        for row, values_of_row in zip(amplitudes, parameters, strict=True):
            row[:] = simulator.run(values_of_row)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            cotangents = cotangent.double().cpu().numpy()
            gradient = np.zeros((len(angles), angles.shape[1] + weights.numel()))
            for row, *inputs in zip(gradient, parameters, amplitudes, cotangents, strict=True):
                np.add.at(row, simulator.columns, simulator.gradient(*inputs))
            result = torch.from_numpy(gradient)
            of_angles, of_weights = result.split([angles.shape[1], weights.numel()], dim=1)
            return of_angles.to(angles), of_weights.sum(0).reshape(weights.shape).to(weights)

        return torch.from_numpy(np.abs(amplitudes) ** 2).to(angles), gradients
