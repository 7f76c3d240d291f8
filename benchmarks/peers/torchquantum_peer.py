"""TorchQuantum: batched state vectors in torch, gates as functions."""

from __future__ import annotations

import numpy as np
import torchquantum as tq
import torchquantum.functional as tqf
from torch import Tensor

from benchmarks.peers import Functions
from benchmarks.peers.torch_functions import functions
from quinr_pl.circuit.ansatz import Ansatz


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    operations = {"RX": tqf.rx, "RZ": tqf.rz, "CRZ": tqf.crz}
    gates = list(ansatz.gates())

    def probabilities(angles: Tensor, weights: Tensor) -> Tensor:
        device = tq.QuantumDevice(n_wires=ansatz.qubits, bsz=len(angles))
        for gate in gates:
            value = angles[:, gate.index[0]] if gate.source == "angle" else weights[gate.index].reshape(1)
            operations[gate.name](device, wires=list(gate.wires), params=value.reshape(-1, 1))
        return device.get_states_1d().abs().square()[:, list(states)]

    return functions(probabilities, angles, weights, cotangent)
