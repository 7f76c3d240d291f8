"""The mean squared error of a picture for CUDA; see squared_error.cu."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import MOST_BLOCKS, THREADS, blocks_of, ints, kernel


def squared_error(keep: bool, values: Tensor, *, picture: Tensor, known: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.squared_error.squared_error and Operation.run."""
    check_readable("squared error", values, picture, known, device=values.device.type)
    check_shapes("squared error", [picture, known], [tuple(values.shape)] * 2)
    given = [tensor.contiguous() for tensor in (values, picture, known)]
    blocks = min(MOST_BLOCKS, max(1, blocks_of(values.numel())))
    sums = values.new_empty(blocks)
    slopes = torch.empty_like(given[0]) if keep else None
    kernel("errors", "squared_error", values)(blocks, THREADS, *given, sums, slopes, *ints(values.numel()))

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        assert slopes is not None
        return [cotangent * slopes]

    return sums.sum(), gradients
