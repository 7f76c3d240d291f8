"""A linear function of samples that are columns."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_pl.ops.cuda import columns as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def combined(
    weight: Tensor,
    columns: Tensor,
    constant: Tensor | None = None,
    *,
    scale: float = 1.0,
    shift: float = 0.0,
) -> Tensor:
    """``weight @ (scale * columns + shift) + constant[:, None]``, differentiable in every tensor.

    For few inputs and outputs and many samples, where libraries of matrix products have little to gain.

    Args:
        weight: (outputs, inputs).
        columns: A sample each, (inputs, samples).
        constant: (outputs,); zero when left out.
        scale: Multiplies the samples.
        shift: Is added to them.

    Returns:
        (outputs, samples).
    """
    run = _combined if on_cuda.fits(weight) else _in_torch
    return run(weight, columns, *(() if constant is None else (constant,)), scale=scale, shift=shift)


def _in_torch(
    weight: Tensor, columns: Tensor, constant: Tensor | None = None, *, scale: float = 1.0, shift: float = 0.0
) -> Tensor:
    if shift:
        constant = shift * weight.sum(dim=1) + (0.0 if constant is None else constant)
    scaled = weight if scale == 1 else scale * weight
    if constant is None:
        return scaled @ columns
    return torch.addmm(constant[:, None], scaled, columns)


_combined = ByDevice(_in_torch, cuda=on_cuda.combined)
