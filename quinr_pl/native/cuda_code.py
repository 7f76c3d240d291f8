"""Kernels for CUDA: compiled on first use, kept on disk, launched on torch's current stream.

Launches neither wait nor take memory, so that a graph can capture them, once a first launch has loaded the
kernels.

    >>> doubled = Program("a sample", 'extern "C" __global__ void twice(float* x, long long n) { ... }')
    >>> doubled.kernel("twice", x.device)(blocks, 256, x, x.numel())  # doctest: +SKIP
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.native import cuda_compiler, kept_code

Sizes = int | tuple[int, ...]
"""Sizes in up to three dimensions."""
Argument = Tensor | int | float | None | Any
"""Tensor: its address; int: ``long long``; float: ``double``; None: a null pointer; or a ctypes value."""

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_DYNAMIC_SHARED_BYTES = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_PLAIN_SHARED_BYTES = 48 << 10
"""Shared memory that a block may have without asking."""


@dataclass(frozen=True)
class Program:
    """CUDA C++ with one or more kernels; see :func:`quinr_pl.native.cuda_compiler.compiled`.

    Attributes:
        title: What it is, for the line that says it is compiled, and for errors.
        source: The text.
        constants: Macros: name and value.
    """

    title: str
    source: str
    constants: tuple[tuple[str, int | str], ...] = ()

    def machine_code(self, target: str) -> bytes:
        """The program compiled for an architecture, kept on disk; needs no GPU.

        Args:
            target: The architecture, ``sm_90`` for example.

        Raises:
            QuinrError: If it cannot be compiled.
        """
        parts = [cuda_compiler.version(), target, self.source, repr(self.constants)]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        compiled = cuda_compiler.compiled
        return kept_code.once("cuda", key, self.title, lambda: compiled(self.source, target, self.constants))

    def kernel(self, name: str, device: torch.device) -> Kernel:
        """A kernel of the program, loaded on a device.

        Raises:
            QuinrError: If it cannot be compiled or loaded.
        """
        return _kernel(self, name, torch.cuda.current_device() if device.index is None else device.index)


class Kernel:
    """A kernel on a device.

    Args:
        program: Its program.
        name: Its name there.
        index: Number of the device in torch.
    """

    def __init__(self, program: Program, name: str, index: int) -> None:
        self.name, self._title, self._index = f"{name} of {program.title}", program.title, index
        self._current = _Current(_context(index), self.name)
        self._launch = _driver().cuLaunchKernel
        self._function = ctypes.c_void_p()
        self._shared = _PLAIN_SHARED_BYTES
        self._resident: dict[tuple[int, int], int] = {}
        with self._current:
            module = _module(program, index)
            _check(
                _driver().cuModuleGetFunction(ctypes.byref(self._function), module, name.encode()), self.name
            )

    def __call__(self, grid: Sizes, block: Sizes, *arguments: Argument, shared: int = 0) -> None:
        """Launch the kernel on the current stream of its device.

        Args:
            grid: Blocks in each dimension; nothing happens where one is 0.
            block: Threads of a block in each dimension.
            arguments: As the kernel takes them, see :data:`Argument`.
            shared: Bytes of dynamic shared memory for each block.

        Raises:
            QuinrError: If a tensor is not on the device, or the launch fails.
        """
        blocks, threads = _three(grid), _three(block)
        if 0 in blocks:
            return
        words = [self._word(argument) for argument in arguments]
        addresses = (ctypes.c_void_p * len(words))(*map(ctypes.addressof, words))
        stream = ctypes.c_void_p(torch.cuda.current_stream(self._index).cuda_stream)
        with self._current:
            self._allow_shared(shared)
            status = self._launch(self._function, *blocks, *threads, shared, stream, addresses, None)
        _check(status, self.name)

    def resident_blocks(self, threads: int, shared: int = 0) -> int:
        """Blocks of so many threads, and bytes of shared memory each, that the device holds at a time."""
        if (threads, shared) not in self._resident:
            count = ctypes.c_int()
            with self._current:
                self._allow_shared(shared)
                ask = _driver().cuOccupancyMaxActiveBlocksPerMultiprocessor
                _check(ask(ctypes.byref(count), self._function, threads, ctypes.c_size_t(shared)), self.name)
            parts = torch.cuda.get_device_properties(self._index).multi_processor_count
            self._resident[threads, shared] = max(1, count.value) * parts
        return self._resident[threads, shared]

    def _word(self, argument: Argument) -> Any:
        if isinstance(argument, Tensor):
            if argument.get_device() != self._index:
                raise QuinrError(f"{self.name} on cuda:{self._index} got a tensor on {argument.device}")
            return ctypes.c_void_p(argument.data_ptr())
        if isinstance(argument, int):
            return ctypes.c_longlong(argument)
        if isinstance(argument, float):
            return ctypes.c_double(argument)
        return ctypes.c_void_p() if argument is None else argument

    def _allow_shared(self, size: int) -> None:
        if size > self._shared:
            allow = _driver().cuFuncSetAttribute
            _check(
                allow(self._function, _DYNAMIC_SHARED_BYTES, size), f"{self.name} with {size} shared bytes"
            )
            self._shared = size


class _Current:
    """Has this thread talk to a device: torch sees to that only for its own threads."""

    def __init__(self, context: ctypes.c_void_p, name: str) -> None:
        self._context, self._name, self._left = context, name, ctypes.c_void_p()
        self._push, self._pop = _driver().cuCtxPushCurrent_v2, _driver().cuCtxPopCurrent_v2

    def __enter__(self) -> None:
        _check(self._push(self._context), self._name)

    def __exit__(self, *_: object) -> None:
        self._pop(ctypes.byref(self._left))


def architecture(device: torch.device | int) -> str:
    """Architecture of a device as compilers call it, ``sm_90`` for example."""
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


@cache
def _kernel(program: Program, name: str, index: int) -> Kernel:
    return Kernel(program, name, index)


@cache
def _module(program: Program, index: int) -> ctypes.c_void_p:
    """A program's code, loaded into the current context, which is that of the device."""
    module = ctypes.c_void_p()
    code = program.machine_code(architecture(index))
    _check(_driver().cuModuleLoadData(ctypes.byref(module), code), program.title)
    return module


@cache
def _context(index: int) -> ctypes.c_void_p:
    """The context of a device that torch computes in."""
    torch.cuda.synchronize(index)  # torch has made it by then
    driver, device, context = _driver(), ctypes.c_int(), ctypes.c_void_p()
    with torch.cuda.device(index):
        _check(driver.cuCtxGetDevice(ctypes.byref(device)), f"cuda:{index}")
    _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), f"cuda:{index}")
    return context


@cache
def _driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise QuinrError(f"no driver for CUDA: {error}") from error


def _check(status: int, what: str) -> None:
    if status:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(status, ctypes.byref(text))
        raise QuinrError(f"{what}: {(text.value or b'error').decode()} (CUDA {status})")


def _three(sizes: Sizes) -> tuple[int, int, int]:
    given = (sizes,) if isinstance(sizes, int) else sizes
    x, y, z = (*given, 1, 1)[:3]
    return x, y, z
