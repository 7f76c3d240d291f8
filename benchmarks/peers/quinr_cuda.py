"""The engine ``cuda`` of this package."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.peers import Functions
from benchmarks.peers.torch_functions import functions
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    engine = choose("cuda", torch.get_default_device())
    return functions(lambda a, w: engine.probabilities(ansatz, a, w, states), angles, weights, cotangent)
