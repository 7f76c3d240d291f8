"""Sums over the blocks of a kernel for CUDA; see sums.cu."""

from __future__ import annotations

from torch import Tensor

from quinr_pl.ops.cuda.programs import blocks_of, ints, kernel

_THREADS = 1024


def summed(partial: Tensor) -> Tensor:
    """Sums over the first axis, (blocks, ...) -> (...), in a fixed order and in double precision."""
    result = partial.new_empty(partial.shape[1:])
    rows, columns = len(partial), result.numel()
    across = min(32, 1 << max(0, columns - 1).bit_length())  # columns of a block, a power of two
    run = kernel("sums", "sums", partial, threads=_THREADS)
    run(blocks_of(columns, across), (across, _THREADS // across), partial, result, *ints(rows, columns))
    return result
