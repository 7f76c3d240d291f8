"""The distribution that a context model predicts for an integer: Laplace, integrated over a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ONE_LAYER, TWO_LAYERS = 4, 6
"""Weights of a context model with one and with two hidden layers: a matrix and a bias of each layer."""

Offsets = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class LaplaceContext:
    """What a context model sees of a grid, and the bounds of its distributions.

    Attributes:
        offsets: Rows down and columns right of the neighbours, which come before a latent in raster order.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability of an integer.
    """

    offsets: Offsets
    octaves: tuple[float, float]
    least: float


def weight_count(tensors: Sequence[Tensor]) -> int:
    """How many tensors of an operation on a context model are its weights; see `context_bits`.

    Behind those of two layers lies a vector for the grids, and behind those of three the matrix of the third.
    """
    return ONE_LAYER if tensors[ONE_LAYER].ndim == 1 else TWO_LAYERS


def weight_shapes(context: LaplaceContext, width: int, second: int, grids: int) -> list[tuple[int, ...]]:
    """Shapes of a model's weights and of what is added to the scales of each grid; see `context_bits`.

    Args:
        context: What the model sees.
        width: Units of the hidden layer.
        second: Those of the second one; 0 without one.
        grids: Number of grids.
    """
    of_second: list[tuple[int, ...]] = [(second, width), (second,)] if second else []
    return [(width, len(context.offsets) + 1), (width,), *of_second, (2, width), (2,), (grids,)]


def laplace_bits(deviation: Tensor, log_scale: Tensor, octaves: tuple[float, float], least: float) -> Tensor:
    """Bits of an integer under a Laplace distribution that is integrated over half a unit to either side.

    Args:
        deviation: Value less mean.
        log_scale: Binary logarithm of the scale, clamped to ``octaves``.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability, where training has no gradient.

    Returns:
        Bits, of the shape of the arguments.
    """
    inverse = torch.exp2(-log_scale.clamp(*octaves))
    distance = deviation.abs()
    near = torch.exp((distance - 0.5).abs() * -inverse)  # twice the mass beyond the nearer edge
    far = torch.exp((distance + 0.5) * -inverse)
    mass = torch.where(distance < 0.5, 1 - 0.5 * (near + far), 0.5 * (near - far))
    return -torch.log2(mass.clamp_min(least))
