"""Memory of the native code: arrays of torch or of NumPy by their addresses, and what outlives a call.

Fits hand tensors to the kernels, and decoding arrays of NumPy, so that it does without torch: of an array
nothing is asked here but what both have.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import platform
import sys
import threading
import weakref
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

if TYPE_CHECKING:
    from torch import Tensor

Bytes = npt.NDArray[np.uint8]
AnyArray = TypeVar("AnyArray", "Tensor", npt.NDArray[Any])
"""A tensor or an array of NumPy."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_MAPPED_BYTES, _TRIMMED_BYTES = 32 << 20, 512 << 20
"""What is larger has pages of its own, which go back at once; so does what is free beyond the second."""
_KEPT_BYTES = 64 << 20
_HUGE_BYTES = 4 << 20
# Fresh pages cost as much as the arithmetic done on them.
_local = threading.local()
_spare: dict[int, list[Bytes]] = {}


def address(array: Tensor | npt.NDArray) -> int:
    """Address of an array's first number."""
    if not isinstance(array, np.ndarray):
        return array.data_ptr()
    try:
        # A quarter of the time that NumPy takes to tell.
        return ctypes.addressof(_BYTE(array))  # type: ignore[arg-type]  # a buffer, whatever its type says
    except (TypeError, ValueError):  # read-only, with gaps, or empty
        return array.ctypes.data


_BYTE = ctypes.c_char.from_buffer


def numbers(array: Tensor | npt.NDArray) -> npt.NDArray:
    """An array of NumPy over the same memory: its operations on a few rows and columns begin sooner."""
    return array if isinstance(array, np.ndarray) else array.detach().numpy()


def like_of(array: npt.NDArray[Any], like: AnyArray) -> AnyArray:
    """An array of NumPy as an array of another's type, over the same memory."""
    if isinstance(like, np.ndarray):
        return array
    tensor: AnyArray = sys.modules["torch"].from_numpy(array)  # loaded by whoever made the other
    return tensor


def strides(array: Tensor | npt.NDArray) -> tuple[int, ...]:
    """Numbers from one element of an array to the next along each axis."""
    if isinstance(array, np.ndarray):
        return tuple(stride // array.itemsize for stride in array.strides)
    return array.stride()


def empty(like: AnyArray, *shape: int) -> AnyArray:
    """An array of another's type and dtype, uninitialized."""
    return np.empty(shape, like.dtype) if isinstance(like, np.ndarray) else like.new_empty(shape)


def zeros(like: AnyArray, *shape: int) -> AnyArray:
    """An array of another's type and dtype, all zero."""
    return np.zeros(shape, like.dtype) if isinstance(like, np.ndarray) else like.new_zeros(shape)


def contiguous(array: AnyArray) -> AnyArray:
    """An array in row-major order: itself, or a copy."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()


def copied(array: AnyArray) -> AnyArray:
    """A copy of an array, in row-major order."""
    if isinstance(array, np.ndarray):
        return array.copy(order="C")
    found = empty(array, *array.shape)
    found[:] = array
    return found


def summed(parts: AnyArray) -> AnyArray:
    """Sums over the first axis, taken in double precision."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts, np.ndarray):
        return parts.sum(0, dtype=np.float64).astype(parts.dtype)
    return parts.double().sum(0).to(parts.dtype)


def keep_freed_memory() -> None:
    """Have the C library keep what this process frees, for what it allocates next.

    A step of a fit frees all that it allocated, and pages that went back to the system cost as much to get
    again as the arithmetic on them. Only glibc has settings for it (mallopt(3)).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for name, size in ((_M_MMAP_THRESHOLD, _MAPPED_BYTES), (_M_TRIM_THRESHOLD, _TRIMMED_BYTES)):
            library.mallopt(name, size)


def split(array: AnyArray, sizes: Sequence[int]) -> Sequence[AnyArray]:
    """Parts of an array of one axis, of so many numbers each."""
    if isinstance(array, np.ndarray):
        return np.split(array, list(accumulate(sizes))[:-1])
    parts: Sequence[AnyArray] = array.split_with_sizes(sizes)  # ``split`` is Python around it
    return parts


def check_readable(reader: str, *arrays: Tensor | npt.NDArray | None, device: str = "cpu") -> None:
    """Refuse arrays that kernels would misread: they go by addresses and trust what is said about them.

    Args:
        reader: What reads them.
        arrays: What is read.
        device: Type of the device in whose memory they must lie.

    Raises:
        QuinrError: If they differ in dtype, are not float32 or float64, or not on the device.
    """
    found = {_kind(array) for array in arrays if array is not None}
    where, dtype, layout = next(iter(found), ("", "", ""))
    # In torch's words, as torch may not be there.
    if len(found) != 1 or where != device or (str(dtype), str(layout)) not in _READABLE:
        kinds = ", ".join(sorted(f"{dtype} on {device}" for device, dtype, _ in found))
        raise QuinrError(
            f"{reader} got tensors of {kinds}: needs one precision, on the {device}, and dense: float32 or "
            "float64"
        )


_READABLE = [(dtype, "torch.strided") for dtype in ("torch.float32", "torch.float64")]


def _kind(array: Tensor | npt.NDArray) -> tuple[str, Any, Any]:
    """Device, dtype and layout."""
    if isinstance(array, np.ndarray):
        return "cpu", f"torch.{array.dtype}", "torch.strided"
    return array.device.type, array.dtype, array.layout


def check_shapes(
    reader: str, tensors: Sequence[Tensor | npt.NDArray], shapes: Sequence[tuple[int, ...]]
) -> None:
    """Refuse arrays of other shapes than kernels take for granted.

    Raises:
        QuinrError: If one differs.
    """
    found = [tuple(tensor.shape) for tensor in tensors]
    if found != list(shapes):
        raise QuinrError(f"{reader} got tensors of shapes {found}: needs {list(shapes)}")


def scratch(size: int) -> Bytes:
    """Uninitialized bytes of this thread, valid until its next call."""
    kept: Bytes | None = getattr(_local, "memory", None)
    if kept is None or kept.size < size:
        kept = np.empty(size, np.uint8)
        if size <= _KEPT_BYTES:
            _local.memory = kept
    return kept


def lent(size: int, borrower: object) -> Bytes:
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


def _take_back(memory: Bytes) -> None:
    # Borrowers go whenever garbage is collected, on any thread: each step here is atomic by itself.
    _spare.setdefault(memory.size, []).append(memory)
    if sum(size * len(kept) for size, kept in list(_spare.items())) > _KEPT_BYTES:
        _spare.clear()


def _allocate(size: int) -> Bytes:
    if size < _HUGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(size, np.uint8)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared memory has none
    with contextlib.suppress(OSError):  # a kernel without them serves ordinary pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)
