"""Memory of the native code that outlives a call: fresh pages cost as much as the arithmetic done on them."""

from __future__ import annotations

import contextlib
import mmap
import threading
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.errors import QuinrError

_KEPT_BYTES = 64 << 20
_HUGE_BYTES = 4 << 20
_local = threading.local()
_spare: dict[int, list[Tensor]] = {}


def check_readable(reader: str, *tensors: Tensor | None) -> None:
    """Refuse tensors that kernels would misread: they go by addresses and trust what is said about them.

    Raises:
        QuinrError: If the tensors differ in dtype, are not float32 or float64, or not in the CPU's memory.
    """
    found = {(t.device.type, t.dtype, t.layout) for t in tensors if t is not None}
    fits = [("cpu", dtype, torch.strided) for dtype in (torch.float32, torch.float64)]
    if len(found) != 1 or found.isdisjoint(fits):
        kinds = ", ".join(sorted(f"{dtype} on {device}" for device, dtype, _ in found))
        raise QuinrError(
            f"{reader} got tensors of {kinds}: needs one precision, on the cpu, and dense: float32 or float64"
        )


def check_shapes(reader: str, tensors: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse tensors of other shapes than kernels take for granted.

    Raises:
        QuinrError: If one differs.
    """
    found = [tuple(tensor.shape) for tensor in tensors]
    if found != list(shapes):
        raise QuinrError(f"{reader} got tensors of shapes {found}: needs {list(shapes)}")


def scratch(size: int) -> Tensor:
    """Uninitialized bytes of this thread, valid until its next call."""
    kept: Tensor | None = getattr(_local, "memory", None)
    if kept is None or kept.numel() < size:
        kept = torch.empty(size, dtype=torch.uint8)
        if size <= _KEPT_BYTES:
            _local.memory = kept
    return kept


def lent(size: int, borrower: object) -> Tensor:
    """Uninitialized bytes that are handed on once the borrower is gone.

    Steps of a fit want the same few sizes again and again. What is large comes in huge pages, where the
    system has them.
    """
    try:
        memory = _spare[size].pop()
    except (KeyError, IndexError):
        memory = _allocate(size)
    weakref.finalize(borrower, _take_back, memory).atexit = False
    return memory


def _take_back(memory: Tensor) -> None:
    # Borrowers go whenever garbage is collected, on any thread: each step here is atomic by itself.
    _spare.setdefault(memory.numel(), []).append(memory)
    if sum(size * len(kept) for size, kept in list(_spare.items())) > _KEPT_BYTES:
        _spare.clear()


def _allocate(size: int) -> Tensor:
    if size < _HUGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(size, dtype=torch.uint8)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared memory has none
    with contextlib.suppress(OSError):  # a kernel without them serves ordinary pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=torch.uint8)
