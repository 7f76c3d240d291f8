"""Orthonormal bases of matrices' columns, on every device by operations that a CUDA graph can hold."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_pl.ops.cuda import orthogonal as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def orthogonal_basis(matrices: Tensor) -> Tensor:
    """The Q of the QR decomposition: its first k columns span what the first k columns of the matrix span.

    Args:
        matrices: (count, n, n), float32 or float64.
    """
    return _basis(matrices) if on_cuda.fits(matrices) else _in_torch(matrices)


def _in_torch(matrices: Tensor) -> Tensor:
    if matrices.device.type == "cpu":
        return torch.linalg.qr(matrices)[0]
    return by_reflections(matrices)


def by_reflections(matrices: Tensor) -> Tensor:
    """The same by Householder's reflections, one column after the other for all matrices at once.

    Zero columns, or such as depend on others, get some direction that is orthogonal to all before.

    Args:
        matrices: (count, n, n).
    """
    size = matrices.shape[-1]
    # Whatever their lengths: squares of small numbers would vanish.
    rest = matrices / matrices.abs().amax(1, keepdim=True).clamp_min(torch.finfo(matrices.dtype).tiny)
    identity = torch.eye(size, dtype=matrices.dtype, device=matrices.device)
    basis = identity.expand_as(matrices).clone()
    below = identity.cumsum(1)  # row j: ones from column j on
    for column in range(size - 1):
        part = rest[:, :, column] * below[column]
        head = part[:, column]
        norm = torch.linalg.vector_norm(part, dim=1)
        # From the head away from zero: nothing cancels.
        normal = part + torch.where(head < 0, -norm, norm)[:, None] * identity[column]
        length = torch.linalg.vector_norm(normal, dim=1, keepdim=True)
        normal = (normal / length.clamp_min(torch.finfo(matrices.dtype).tiny))[:, :, None]
        rest = torch.baddbmm(rest, normal, torch.bmm(normal.mT, rest), alpha=-2)
        basis = torch.baddbmm(basis, torch.bmm(basis, normal), normal.mT, alpha=-2)
    return basis


_basis = ByDevice(_in_torch, cuda=on_cuda.orthogonal_basis)
