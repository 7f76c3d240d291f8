"""Qandle: a torch module of gate modules; angles are named inputs, weights are parameters."""

from __future__ import annotations

import numpy as np
import qandle
import torch
from torch import Tensor

from benchmarks.peers import Functions
from quinr_pl.circuit.ansatz import Ansatz


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    layers, order = [], []
    for gate in ansatz.gates():
        operation = qandle.RX if gate.name == "RX" else qandle.RZ
        if gate.source == "angle":
            layers.append(operation(gate.wires[-1], name=f"angle{gate.index[0]}"))
            continue
        order.append(np.ravel_multi_index(gate.index, ansatz.weights_shape))
        turn = operation(gate.wires[-1], theta=torch.tensor([float(weights[gate.index])]), remapping=None)
        layers.append(turn if gate.name != "CRZ" else qandle.Controlled(gate.wires[0], turn))
    circuit = qandle.Circuit([*layers, qandle.MeasureAllAbsolute()], num_qubits=ansatz.qubits)
    parameters = [parameter for name, parameter in circuit.named_parameters() if not _named(circuit, name)]
    leaf = torch.from_numpy(angles).requires_grad_()
    chosen = list(states)

    def probabilities() -> Tensor:
        inputs = {f"angle{column}": leaf[:, column] for column in range(angles.shape[1])}
        return circuit(**inputs).reshape(len(leaf), -1)[:, chosen]

    def forward() -> Tensor:
        with torch.no_grad():
            return probabilities()

    def train() -> tuple[Tensor, Tensor]:
        of_angles, *rest = torch.autograd.grad(
            probabilities(), [leaf, *parameters], torch.from_numpy(cotangent)
        )
        of_weights = torch.zeros(weights.size)
        of_weights[order] = torch.cat([part.reshape(-1) for part in rest])
        return of_angles, of_weights.reshape(weights.shape)

    return forward, train


def _named(circuit: torch.nn.Module, parameter: str) -> bool:
    """Whether a parameter belongs to a gate that takes an input in its place."""
    return bool(circuit.get_submodule(parameter.rpartition(".")[0]).named)
