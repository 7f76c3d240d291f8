"""Noise between two soft roundings, in place of rounding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.ops.cpu import relaxation as on_cpu
from quinr_pl.ops.cuda import relaxation as on_cuda
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.noise import grid_key, normal_noise
from quinr_pl.ops.soft_rounding import soft_round


def relaxed(grids: Sequence[Tensor], key: Tensor, settings: Tensor, readers: int = 1) -> list[list[Tensor]]:
    """``soft_round(soft_round(latents) + spread * noise)`` of each grid's latents.

    The gradients of all readers are added up at once: those of views that they share are, grid by grid.

    Args:
        grids: Latents, of any shapes.
        key: Of the noise, (2,); see quinr_pl.ops.noise.
        settings: For each grid the temperature of the soft rounding, which towards zero becomes rounding, and
            the standard deviation of the noise: (grids, 2), of the grids' precision.
        readers: How many read the results, each of them its own views.

    Returns:
        For each reader tensors of the same shapes, differentiable in the latents.
    """
    if not grids:
        return [[] for _ in range(readers)]
    together = _relaxed(*grids, key=key, settings=settings)
    sizes = [grid.numel() for grid in grids]
    views = [together.split(sizes) for _ in range(readers)]
    return [[part.view(grid.shape) for part, grid in zip(parts, grids, strict=True)] for parts in views]


def _in_torch(*grids: Tensor, key: Tensor, settings: Tensor) -> Tensor:
    """Latents of all grids, one grid after the other: (latents,)."""
    results = []
    for index, (grid, (temperature, spread)) in enumerate(zip(grids, settings, strict=True)):
        noise = normal_noise(grid_key(key, index), grid.shape, grid.dtype)
        results.append(soft_round(soft_round(grid, temperature) + spread * noise, temperature).flatten())
    return torch.cat(results)


_relaxed = ByDevice(_in_torch, cpu=on_cpu.relaxed, cuda=on_cuda.relaxed)
