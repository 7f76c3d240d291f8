"""The engine ``cuda`` of this package, replayed from CUDA graphs as a fit does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.engines import captured
from benchmarks.peers import Functions
from benchmarks.peers.quinr_cuda import prepare as prepare_eager
from quinr_pl.circuit.ansatz import Ansatz


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    forward, train = (_replayed(step) for step in prepare_eager(ansatz, angles, weights, cotangent, states))
    return forward, train


def _replayed(step: Callable[[], Any]) -> Callable[[], Any]:
    kept: list[Any] = []
    replay = captured(lambda: kept.append(step()))

    def replayed() -> Any:
        replay()
        torch.cuda.synchronize()
        return kept[-1]

    return replayed
