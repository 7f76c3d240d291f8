"""The circuit of benchmarks.peers.real_circuit in torch, compiled."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.peers import Functions
from benchmarks.peers.real_circuit import circuit
from benchmarks.peers.torch_functions import functions
from quinr_pl.circuit.ansatz import Ansatz


def prepare_compiled(
    ansatz: Ansatz,
    angles: np.ndarray,
    weights: np.ndarray,
    cotangent: np.ndarray,
    states: range,
    merged: bool,
) -> Functions:
    """See benchmarks.peers."""
    device = torch.get_default_device()
    probabilities = circuit(ansatz, states, merged, torch, lambda array: torch.from_numpy(array).to(device))
    return functions(torch.compile(probabilities), angles, weights, cotangent)
