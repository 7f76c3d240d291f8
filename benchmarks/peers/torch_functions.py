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
    device = torch.get_default_device()
    leaves = [torch.from_numpy(array).to(device).requires_grad_() for array in (angles, weights)]
    given = torch.from_numpy(cotangent).to(device)

    def forward() -> Tensor:
        with torch.no_grad():
            probabilities = circuit(*leaves)
        return _finished(probabilities)

    def train() -> tuple[Tensor, Tensor]:
        probabilities = circuit(*leaves)
        of_angles, of_weights = torch.autograd.grad(probabilities, leaves, given.to(probabilities.dtype))
        return _finished(of_angles), of_weights

    return forward, train


def _finished(tensor: Tensor) -> Tensor:
    """The tensor, once the device has computed it."""
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return tensor
