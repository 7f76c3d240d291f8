"""A linear function of columns for CUDA; see columns.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_int, c_longlong, c_void_p

import torch
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.native.cuda_code import Kernel
from quinr_pl.native.memory import check_readable
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import MOST_BLOCKS, THREADS, blocks_of, dense, kernel, lines_fit
from quinr_pl.ops.cuda.sums import summed


class _Columns(Structure):
    """As in columns.cu."""

    _fields_ = (("at", c_void_p), ("row", c_longlong), ("column", c_longlong), ("count", c_int))

    @classmethod
    def of(cls, columns: Tensor) -> _Columns:
        """A matrix of columns, in any layout."""
        return cls(columns.data_ptr(), *columns.stride(), columns.shape[1])


def fits(weight: Tensor) -> bool:
    """Whether a block's shared memory holds what its threads find."""
    return lines_fit(weight, sum(weight.shape) + weight.shape[1], weight.numel())


def combined(keep: bool, weight: Tensor, columns: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.columns.combined and Operation.run."""
    check_readable("linear function of columns", weight, columns, device=weight.device.type)
    if weight.shape[1] != len(columns):
        raise QuinrError(f"a linear function of {weight.shape[1]} rows got {len(columns)}")
    weight, columns = weight.contiguous(), dense(columns)
    outputs, count = len(weight), columns.shape[1]
    result = weight.new_empty(outputs, count)
    _kernel("combined", weight, columns)(blocks_of(count), THREADS, _Columns.of(columns), weight, result)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor | None]:
        blocks = max(1, min(MOST_BLOCKS, blocks_of(count)))
        sums = weight.new_empty(blocks, *weight.shape)
        of_columns = torch.empty_like(columns) if needed[1] else None
        places = _Columns.of(columns), _Columns.of(cotangent)
        _kernel("of_combined", weight, columns)(blocks, THREADS, *places, weight, of_columns, sums)
        return [summed(sums), of_columns]

    return result, gradients


def _kernel(name: str, weight: Tensor, columns: Tensor) -> Kernel:
    outputs, inputs = weight.shape
    side_by_side = int(columns.stride(0) == 1)
    constants = {"INPUTS": inputs, "OUTPUTS": outputs, "SIDE_BY_SIDE": side_by_side}
    return kernel(name, "columns", weight, constants)
