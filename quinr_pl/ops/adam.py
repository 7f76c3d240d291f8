"""A step of Adam for parameters whose elements move each by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_pl.ops.cpu import adam as on_cpu


def adam_step(
    parameters: list[Tensor],
    gradients: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    size: Tensor,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Move parameters by ``size * first / (sqrt(second) + eps)``, after their moments followed the gradients.

    Kingma & Ba, "Adam: A method for stochastic optimization", 2015; without the corrections for few steps,
    which are a matter of the size.

    Args:
        parameters: Of one dtype and device; in a graph or not, they move in place.
        gradients: Of the same shapes.
        first: Decaying means of the gradients.
        second: Decaying means of their squares.
        size: What the update is multiplied by, 0-dimensional.
        betas: Decay rates of the moments.
        eps: What keeps the division finite.
    """
    if all(map(_has_kernels, (*parameters, *first, *second))):
        shares = parameters[0].new_tensor([1 - betas[0], 1 - betas[1], eps])
        settings = torch.cat([shares, size.to(shares.dtype)[None]])
        return on_cpu.adam_step(parameters, gradients, first, second, settings)
    torch._foreach_lerp_(first, gradients, 1 - betas[0])
    torch._foreach_lerp_(second, list(torch._foreach_mul(gradients, gradients)), 1 - betas[1])
    roots = list(torch._foreach_sqrt(second))
    torch._foreach_add_(roots, eps)
    updates = list(torch._foreach_div(first, roots))
    torch._foreach_mul_(updates, size)
    torch._foreach_add_(parameters, updates)
    return None


def _has_kernels(tensor: Tensor) -> bool:
    """Whether kernels can move it: they take numbers in the order of memory."""
    dense = tensor.layout == torch.strided and tensor.is_contiguous()
    return dense and tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)
