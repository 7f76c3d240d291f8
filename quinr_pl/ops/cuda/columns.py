"""A linear function of columns for CUDA; see columns.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_int, c_longlong, c_void_p

import torch
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.native.memory import check_readable, check_shapes
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
    return lines_fit(weight, sum(weight.shape) + 1 + weight.shape[1], weight.numel())


def combined(
    keep: bool,
    weight: Tensor,
    columns: Tensor,
    constant: Tensor | None = None,
    *,
    scale: float = 1.0,
    shift: float = 0.0,
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.columns.combined and Operation.run."""
    others = [] if constant is None else [constant]
    check_readable("linear function of columns", weight, columns, *others, device=weight.device.type)
    if weight.shape[1] != len(columns):
        raise QuinrError(f"a linear function of {weight.shape[1]} rows got {len(columns)}")
    check_shapes("linear function of columns", others, [(len(weight),)] * len(others))
    weight, columns = weight.contiguous(), dense(columns)
    constant = None if constant is None else constant.contiguous()
    outputs, count = len(weight), columns.shape[1]
    result = weight.new_empty(outputs, count)
    constants = {
        "INPUTS": weight.shape[1],
        "OUTPUTS": outputs,
        "SIDE_BY_SIDE": int(columns.stride(0) == 1),
        "CONSTANT": len(others),
        "SCALE": scale,
        "SHIFT": shift,
    }
    run = kernel("combined", "columns", weight, constants)
    run(blocks_of(count), THREADS, _Columns.of(columns), weight, constant, result)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor | None]:
        blocks = max(1, min(MOST_BLOCKS, blocks_of(count)))
        sizes = [one.numel() for one in (weight, *others)]
        sums = weight.new_empty(blocks, sum(sizes))
        of_columns = torch.empty_like(columns) if needed[1] else None
        places = _Columns.of(columns), _Columns.of(cotangent)
        run = kernel("of_combined", "columns", weight, constants)
        run(blocks, THREADS, *places, weight, of_columns, sums)
        of_weight, *of_constant = summed(sums).split(sizes)
        return [of_weight.view_as(weight), of_columns, *(of_constant or [None])]

    return result, gradients
