"""The mean squared error of a picture for CUDA; see squared_error.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_longlong

import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import MOST_BLOCKS, THREADS, blocks_of, dense, ints, kernel


def squared_error(
    keep: bool, values: Tensor, *, picture: Tensor, known: Tensor | None
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.squared_error.squared_error and Operation.run."""
    targets = [picture] if known is None else [picture, known]
    check_readable("squared error", values, *targets, device=values.device.type)
    check_shapes("squared error", targets, [tuple(values.shape)] * len(targets))
    picture, known = picture.contiguous(), None if known is None else known.contiguous()
    seen = dense(values if values.ndim == 2 else values.reshape(1, values.numel()))
    blocks = min(MOST_BLOCKS, max(1, blocks_of(values.numel())))
    sums = values.new_empty(blocks)
    slopes = torch.empty_like(seen) if keep else None
    places = [c_longlong(stride) for stride in seen.stride()]
    run = kernel("errors", "squared_error", values)
    run(blocks, THREADS, seen, *places, picture, known, sums, slopes, *ints(values.numel(), seen.shape[1]))

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        assert slopes is not None
        return [(cotangent * slopes).view(values.shape)]

    return sums.sum(), gradients
