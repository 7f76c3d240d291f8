"""Turns a differentiable torch function into the two functions of a peer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import Functions


def functions(
    circuit: Callable[[Tensor, Tensor], Tensor],
    angles: np.ndarray,
    weights: np.ndarray,
    cotangent: np.ndarray,
) -> Functions:
    """``circuit(angles, weights)`` gives the probabilities."""
    leaves = [torch.from_numpy(array).requires_grad_() for array in (angles, weights)]
    given = torch.from_numpy(cotangent)

    def forward() -> Tensor:
        with torch.no_grad():
            return circuit(*leaves)

    def train() -> tuple[Tensor, Tensor]:
        probabilities = circuit(*leaves)
        of_angles, of_weights = torch.autograd.grad(probabilities, leaves, given.to(probabilities.dtype))
        return of_angles, of_weights

    return forward, train
