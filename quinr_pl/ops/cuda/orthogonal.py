"""Orthonormal bases for CUDA; see orthogonal.cu."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import SHARED_BYTES, kernel


def fits(matrices: Tensor) -> bool:
    """Whether a block has room for a matrix and its basis."""
    return 2 * matrices.shape[1] * (matrices.shape[1] | 1) * matrices.element_size() <= SHARED_BYTES


def orthogonal_basis(keep: bool, matrices: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.orthogonal.orthogonal_basis and Operation.run; there are no gradients."""
    given = matrices.contiguous()
    basis = torch.empty_like(given)
    count, size, _ = given.shape
    threads = min(256, -(-2 * size // 32) * 32)
    run = kernel("orthogonalize", "orthogonal", given, {"SIZE": size, "PITCH": size | 1}, threads)
    run(count, threads, given, basis)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        raise NotImplementedError("gradients of an orthonormal basis")

    return basis, gradients
