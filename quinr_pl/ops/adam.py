"""A step of Adam for parameters whose elements move each by itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.ops.cpu import adam as on_cpu
from quinr_pl.ops.cuda import adam as on_cuda
from quinr_pl.ops.dispatch import NoKernelsError

Kernels = Callable[
    [
        Sequence[Tensor],
        Sequence[Tensor],
        Sequence[Tensor],
        Sequence[Tensor],
        Tensor,
        tuple[float, float],
        float,
    ],
    None,
]
"""Moves parameters and their moments: from parameters, gradients, first and second moments, all contiguous,
of like shapes and of one dtype; what the update is multiplied by; the shares of what is new in the moments;
and what keeps the division finite."""


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
    shares = 1 - betas[0], 1 - betas[1]
    kernels = _kernels([*parameters, *first, *second])
    if kernels is not None:
        gradients = [gradient.contiguous() for gradient in gradients]
        size = size.to(parameters[0].dtype)
        for parameter, *others in zip(parameters, gradients, first, second, strict=True):
            check_readable("Adam", parameter, *others, size, device=parameter.device.type)
            check_shapes("Adam", others, [tuple(parameter.shape)] * 3)
        try:
            kernels(parameters, gradients, first, second, size, shares, eps)
        except NoKernelsError as error:
            _FAILED.add(parameters[0].device)
            warnings.warn(f"{error}; torch's operations take their place", stacklevel=2)
        else:  # graphs notice, as they do of operations in place
            torch.autograd.graph.increment_version([*parameters, *first, *second])
            return
    torch._foreach_lerp_(first, gradients, shares[0])
    torch._foreach_lerp_(second, list(torch._foreach_mul(gradients, gradients)), shares[1])
    roots = list(torch._foreach_sqrt(second))
    torch._foreach_add_(roots, eps)
    updates = list(torch._foreach_div(first, roots))
    torch._foreach_mul_(updates, size)
    torch._foreach_add_(parameters, updates)


def _kernels(tensors: Sequence[Tensor]) -> Kernels | None:
    """What moves all of them, if they lie in the order of memory: kernels take numbers in that order."""
    dense = all(tensor.layout == torch.strided and tensor.is_contiguous() for tensor in tensors)
    floats = all(tensor.dtype in (torch.float32, torch.float64) for tensor in tensors)
    device = tensors[0].device
    if not (dense and floats) or device in _FAILED:
        return None
    return _BY_DEVICE.get(device.type)


_BY_DEVICE: dict[str, Kernels] = {"cpu": on_cpu.adam_step, "cuda": on_cuda.adam_step}
_FAILED: set[torch.device] = set()
