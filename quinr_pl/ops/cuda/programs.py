"""From a file of CUDA C++ beside this one to its kernels, and what they are given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ctypes import c_int, c_void_p
from functools import cache
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.native.cuda_code import Kernel, Program
from quinr_pl.ops.dispatch import NoKernelsError

THREADS = 128
"""Threads of a block."""
TILE = (8, 32)
"""Rows and columns of the places that a block takes together, each of them one of its threads."""
SHARED_BYTES = 46 << 10
"""Shared memory of a block, of the 48 KiB that a kernel has without asking."""
MOST_BLOCKS = 528
"""Blocks whose sums are added up: four for each multiprocessor of an H100."""
MOST_GRIDS = 16
"""Grids that a kernel takes."""
Constants = Mapping[str, int | float | str]
"""Macros by name."""
_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)
_TYPES = {torch.float32: "float", torch.float64: "double"}


def kernel(
    name: str, file: str, like: Tensor, constants: Constants | None = None, threads: int = THREADS
) -> Kernel:
    """A kernel for the precision and on the device of a tensor.

    Args:
        name: Its name.
        file: Where it is written, without suffix.
        like: The tensor.
        constants: What the file is compiled with besides ``real``, THREADS and MOST_GRIDS.
        threads: Of a block.

    Raises:
        NoKernelsError: If it cannot be compiled or loaded.
    """
    try:
        return _program(file, like.dtype, threads, tuple((constants or {}).items())).kernel(name, like.device)
    except QuinrError as error:
        raise NoKernelsError(str(error)) from error


@cache
def _program(
    file: str, dtype: torch.dtype, threads: int, constants: tuple[tuple[str, int | float | str], ...]
) -> Program:
    own = (("real", _TYPES[dtype]), ("THREADS", threads), ("MOST_GRIDS", MOST_GRIDS))
    macros = tuple((name, value if isinstance(value, int) else str(value)) for name, value in constants)
    source = _INCLUDE.sub(lambda found: _text(found[1]), _text(f"{file}.cu"))
    return Program(f"the {file} of latents for CUDA", source, (*own, *macros))


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def dense(matrix: Tensor) -> Tensor:
    """A matrix, or a copy of it, whose numbers have a place of their own each and lie side by side."""
    return matrix if matrix.is_contiguous() or matrix.T.is_contiguous() else matrix.contiguous()


def lines_fit(like: Tensor, lines: int, others: int) -> bool:
    """Whether a block has room for lines (lines.cuh) and other numbers of a tensor's precision."""
    return (lines * (THREADS + 4) + others) * like.element_size() <= SHARED_BYTES


def check_grids(reader: str, grids: Sequence[Tensor]) -> None:
    """Refuse more grids than kernels take.

    Raises:
        QuinrError: If there are more.
    """
    if len(grids) > MOST_GRIDS:
        raise QuinrError(f"{reader} got {len(grids)} grids: kernels for CUDA take {MOST_GRIDS}")


def ints(*values: int) -> list[c_int]:
    """Arguments that a kernel takes as int."""
    return [c_int(value) for value in values]


def blocks_of(count: int, threads: int = THREADS) -> int:
    """Blocks whose threads are at least so many."""
    return -(-count // threads)


def pieces(like: Tensor, counts: Sequence[int]) -> tuple[list[c_void_p], Tensor]:
    """Uninitialized numbers in pieces that begin at multiples of 16 bytes, as pairs of numbers want it.

    Args:
        like: Tensor of the same precision and device.
        counts: Numbers of each piece.

    Returns:
        The addresses of the pieces, and their memory, which is there as long as somebody holds it.
    """
    per_piece = [-(-count // 4) * 4 for count in counts]
    memory = like.new_empty(sum(per_piece))
    starts = [0, *accumulate(per_piece)][:-1]
    return [c_void_p(memory.data_ptr() + start * memory.element_size()) for start in starts], memory
