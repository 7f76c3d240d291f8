"""PennyLane's lightning.qubit through the QNode, adjoint differentiation."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import Functions
from benchmarks.peers.torch_functions import functions
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.lightning import LightningEngine


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    engine = LightningEngine()
    return functions(lambda a, w: engine.probabilities(ansatz, a, w, states), angles, weights, cotangent)
