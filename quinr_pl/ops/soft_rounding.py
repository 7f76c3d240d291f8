"""Rounding made smooth, for training: of latents and of weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def soft_round(values: Tensor, temperature: float | Tensor) -> Tensor:
    """A smooth staircase through the integers and their midpoints.

    From Agustsson & Theis 2020, "Universally quantized neural compression".

    Args:
        values: Of any shape.
        temperature: Towards 0 it rounds, towards infinity it is the identity.

    Returns:
        Of the same shape, differentiable.
    """
    middle = torch.floor(values) + 0.5
    return middle + torch.tanh((values - middle) / temperature) * _height(temperature)


def soft_round_slope(values: Tensor, temperature: float | Tensor) -> Tensor:
    """The derivative of ``soft_round``, of the shape of the values."""
    middle = torch.floor(values) + 0.5
    bent = torch.tanh((values - middle) / temperature)
    return (1 - bent * bent) * (_height(temperature) / temperature)


def _height(temperature: float | Tensor) -> float | Tensor:
    """What hyperbolic tangents are multiplied by so that steps meet at half integers."""
    if isinstance(temperature, Tensor):
        return 0.5 / torch.tanh(0.5 / temperature)
    return 0.5 / math.tanh(0.5 / temperature)
