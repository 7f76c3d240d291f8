"""A step of Adam for CUDA; see adam.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_int, c_void_p

from torch import Tensor

from quinr_pl.ops.cuda.programs import THREADS, blocks_of, ints, kernel

_MOST_MEMBERS = 32
"""Arrays of a launch."""


class _Member(Structure):
    """As in adam.cu."""

    _fields_ = (
        ("parameter", c_void_p),
        ("gradient", c_void_p),
        ("first", c_void_p),
        ("second", c_void_p),
        ("count", c_int),
        ("block", c_int),
    )


def adam_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    size: Tensor,
    shares: tuple[float, float],
    eps: float,
) -> None:
    """See quinr_pl.ops.adam.Kernels.

    Raises:
        NoKernelsError: If it cannot be compiled or loaded.
    """
    arrays = list(zip(parameters, gradients, first, second, strict=True))
    run = kernel("adam", "adam", parameters[0], {"MOST_MEMBERS": _MOST_MEMBERS})
    for start in range(0, len(arrays), _MOST_MEMBERS):
        part = arrays[start : start + _MOST_MEMBERS]
        members, blocks = (_Member * _MOST_MEMBERS)(), 0
        for index, tensors in enumerate(part):
            count = tensors[0].numel()
            members[index] = _Member(*(tensor.data_ptr() for tensor in tensors), count, blocks)
            blocks += blocks_of(count)
        run(blocks, THREADS, members, *ints(len(part)), size, *shares, eps)
