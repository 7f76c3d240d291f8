"""PennyLane's default.qubit, parameter broadcasting over the batch, torch backpropagation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import Functions
from benchmarks.peers.torch_functions import functions
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.lightning import apply_gates, qml


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers. Of complex64, which PennyLane takes from float32 parameters."""

    @qml.qnode(qml.device("default.qubit", wires=ansatz.qubits), interface="torch", diff_method="backprop")
    def circuit(angles: Tensor, weights: Tensor) -> object:
        apply_gates(ansatz, angles, weights)
        return qml.probs(wires=range(ansatz.qubits))

    def probabilities(angles: Tensor, weights: Tensor) -> Tensor:
        return torch.atleast_2d(circuit(angles, weights))[:, list(states)]

    return functions(probabilities, angles, weights, cotangent)
