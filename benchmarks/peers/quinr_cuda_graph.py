"""The engine ``cuda`` of this package, replayed from CUDA graphs as a fit does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.capture import captured
from benchmarks.peers import Functions
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    device = torch.get_default_device()
    engine = choose("cuda", device)
    leaves = [torch.from_numpy(array).to(device).requires_grad_() for array in (angles, weights)]
    given = torch.from_numpy(cotangent).to(device)

    def forward() -> Any:
        with torch.no_grad():
            return engine.probabilities(ansatz, *leaves, states)

    def train() -> Any:
        return torch.autograd.grad(engine.probabilities(ansatz, *leaves, states), leaves, given)

    return _replayed(forward), _replayed(train)


def _replayed(step: Callable[[], Any]) -> Callable[[], Any]:
    kept: list[Any] = []
    replay = captured(lambda: kept.append(step()))  # nothing in it may wait for the device

    def replayed() -> Any:
        replay()
        torch.cuda.synchronize()
        return kept[-1]

    return replayed
