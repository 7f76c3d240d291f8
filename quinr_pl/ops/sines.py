"""Angles as sines of linear functions of features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from quinr_pl.ops.cuda import sines as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def sines(inputs: Tensor, weight: Tensor, bias: Tensor, frequency: float, scale: float) -> Tensor:
    """``scale * sin(frequency * (W x + b))`` of each row x, differentiable in every tensor.

    Args:
        inputs: (batch, in_features).
        weight: W, (angles, in_features).
        bias: b, (angles,).
        frequency: Multiplies the linear function.
        scale: Multiplies the sine.

    Returns:
        (batch, angles).
    """
    settings = {"frequency": frequency, "scale": scale}
    if on_cuda.fits(weight):
        return _sines(inputs, weight, bias, **settings)
    return _in_torch(inputs, weight, bias, **settings)


def _in_torch(inputs: Tensor, weight: Tensor, bias: Tensor, *, frequency: float, scale: float) -> Tensor:
    return scale * torch.sin(nn.functional.linear(inputs, frequency * weight, frequency * bias))


_sines = ByDevice(_in_torch, cuda=on_cuda.sines)
