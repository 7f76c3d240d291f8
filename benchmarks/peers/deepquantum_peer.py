"""DeepQuantum: a torch module that maps over the batch; angles are encoded data, weights are parameters."""

from __future__ import annotations

import deepquantum as dq
import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import Functions
from quinr_pl.circuit.ansatz import Ansatz


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    circuit = dq.QubitCircuit(ansatz.qubits)
    columns, order = [], []
    for gate in ansatz.gates():
        given = gate.source == "angle"
        if given:
            columns.append(gate.index[0])
        else:
            order.append(np.ravel_multi_index(gate.index, ansatz.weights_shape))
        value = None if given else float(weights[gate.index])
        if gate.name == "RX":
            circuit.rx(gate.wires[0], inputs=value, encode=given)
        elif gate.name == "RZ":
            circuit.rz(gate.wires[0], inputs=value, encode=given)
        else:
            circuit.rz(gate.wires[1], inputs=value, controls=gate.wires[0], encode=given)
        if not given:
            operator = circuit.operators[-1]
            theta = operator.theta
            del operator._buffers["theta"]
            operator.register_parameter("theta", torch.nn.Parameter(theta.detach().clone()))
    parameters = list(circuit.parameters())
    leaf = torch.from_numpy(angles).requires_grad_()
    chosen = list(states)

    def probabilities() -> Tensor:
        amplitudes = circuit(leaf[:, columns])
        return amplitudes.reshape(len(leaf), -1).abs().square()[:, chosen]

    def forward() -> Tensor:
        with torch.no_grad():
            return probabilities()

    def train() -> tuple[Tensor, Tensor]:
        of_angles, *rest = torch.autograd.grad(
            probabilities(), [leaf, *parameters], torch.from_numpy(cotangent)
        )
        of_weights = torch.zeros(weights.size)
        of_weights[order] = torch.stack(rest).reshape(-1)
        return of_angles, of_weights.reshape(weights.shape)

    return forward, train
