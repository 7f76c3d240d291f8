"""Noise between two soft roundings, in place of rounding."""

from __future__ import annotations

from torch import Tensor

from quinr_pl.ops.cpu import relaxation as on_cpu
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.noise import normal_noise
from quinr_pl.ops.soft_rounding import soft_round


def relaxed(latents: Tensor, key: Tensor, temperature: float, spread: float) -> Tensor:
    """``soft_round(soft_round(latents) + spread * noise)``.

    Args:
        latents: Of any shape.
        key: Of the noise, (2,); see quinr_pl.ops.noise.
        temperature: Of the soft rounding: towards zero it becomes rounding.
        spread: Standard deviation of the noise.

    Returns:
        Of the same shape, differentiable in the latents.
    """
    return _relaxed(latents, key=key, temperature=temperature, spread=spread)


def _in_torch(latents: Tensor, *, key: Tensor, temperature: float, spread: float) -> Tensor:
    noise = normal_noise(key, latents.shape, latents.dtype)
    return soft_round(soft_round(latents, temperature) + spread * noise, temperature)


_relaxed = ByDevice(_in_torch, cpu=on_cpu.relaxed)
