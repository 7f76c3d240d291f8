"""Kernels for CUDA on the CPU: compiled by a C++ compiler, and run on the memory of tensors of the CPU."""

from __future__ import annotations

import ctypes
import hashlib
import pkgutil
import re
import shutil
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from torch import Tensor

from quinr_pl import ops
from quinr_pl.circuit.engines.cuda.engine import CudaEngine
from quinr_pl.native import cuda_code
from quinr_pl.native.cuda_code import Program
from quinr_pl.ops import adam
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.training.matrix_batch import MatrixBatch

HEADER = Path(__file__).with_suffix(".h")
NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


class EmulatedKernel:
    """What :class:`quinr_pl.native.cuda_code.Kernel` is on a GPU; see cuda_emulation.h."""

    def __init__(self, program: Program, name: str) -> None:
        self.name = f"{name} of {program.title}"
        self._launch = getattr(_library(program), f"emulate_{name}")

    def __call__(self, grid: Any, block: Any, *arguments: Any, shared: int = 0) -> None:
        sizes = (ctypes.c_uint * 6)(*cuda_code._three(grid), *cuda_code._three(block))
        words = [_word(argument) for argument in arguments]
        addresses = (ctypes.c_void_p * len(words))(*map(ctypes.addressof, words))
        self._launch(sizes, ctypes.c_size_t(shared), addresses)

    def resident_blocks(self, threads: int, shared: int = 0) -> int:
        return 2


def emulate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have programs run on the CPU."""

    def kernel(program: Program, name: str, device: torch.device) -> EmulatedKernel:
        assert device.type == "cpu"
        return _kernel(program, name)

    monkeypatch.setattr(Program, "kernel", kernel)


def emulate_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tensors of the CPU go where those of a GPU would: operations, circuits and optimizers."""
    emulate(monkeypatch)
    for module in pkgutil.iter_modules(ops.__path__, f"{ops.__name__}."):
        for operation in vars(import_module(module.name)).values():
            if isinstance(operation, ByDevice) and "cuda" in operation._kernels:
                monkeypatch.setitem(operation._kernels, "cpu", operation._kernels["cuda"])
    monkeypatch.setitem(adam._BY_DEVICE, "cpu", adam._BY_DEVICE["cuda"])
    monkeypatch.setattr(CudaEngine, "refusal", lambda *_: "")
    emulate_soap(monkeypatch)


def emulate_soap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SOAP's kernel move matrices of the CPU; programs must run there."""
    lay_out = MatrixBatch.__init__

    def laid_out(batch: MatrixBatch, *given: Any) -> None:
        lay_out(batch, *given)
        batch._has_kernels = batch._state.fits()

    monkeypatch.setattr(MatrixBatch, "__init__", laid_out)


@cache
def _kernel(program: Program, name: str) -> EmulatedKernel:
    return EmulatedKernel(program, name)


@cache
def _folder() -> Path:
    return Path(mkdtemp(prefix="quinr-cuda-"))


@cache
def _library(program: Program) -> ctypes.CDLL:
    names = re.findall(r'extern "C" __global__ void (?:__launch_bounds__\(.*?\) )?(\w+)\(', program.source)
    source = re.sub(
        r"extern __shared__ ((?:alignas\(\w+\) )?)(\w+) (\w+)\[\];",
        r"\2 *\3 = reinterpret_cast<\2 *>(emulation::dynamic.data());",
        program.source,
    )
    launches = [
        f'extern "C" void emulate_{name}(unsigned *sizes, std::size_t shared, void **words) '
        f"{{ emulation::launch({name}, sizes, shared, words); }}"
        for name in names
    ]
    key = hashlib.sha256(repr((source, program.constants)).encode()).hexdigest()[:16]
    text, path = _folder() / f"{key}.cpp", _folder() / f"{key}.so"
    text.write_text("\n".join([f'#include "{HEADER}"', source, *launches]))
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-ffp-contract=off"]
    flags += ["-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"]  # a GPU stops there
    constants = [f"-D{name}={value}" for name, value in program.constants]
    subprocess.run(["g++", *flags, *constants, "-o", path, text], check=True)
    return ctypes.CDLL(str(path))


def _word(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        assert argument.device.type == "cpu"
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, int):
        return ctypes.c_longlong(argument)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return ctypes.c_void_p() if argument is None else argument
