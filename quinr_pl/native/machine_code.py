"""Machine code of kernels: compiled on first use, kept on disk, called without the GIL."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import llvmlite
from llvmlite import binding as llvm
from llvmlite import ir

from quinr_pl.native import arguments, vectors

Function = Callable[[int], None]
"""A kernel; it takes the address of its 64-bit arguments."""
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_SOURCES = (sys.modules[__name__], arguments, vectors)
_alive: list[llvm.ExecutionEngine] = []
"""What holds the machine code."""


@cache
def load(
    emitter: ModuleType, title: str, *settings: object, sources: tuple[ModuleType, ...] = ()
) -> Mapping[str, Function]:
    """Kernels of a module, from the cache on disk where this machine has compiled them.

    Args:
        emitter: The Python module that emits them: its ``build(*settings)`` gives the functions ``NAMES``.
        title: What it is, for the line that says it is compiled.
        settings: What is built; their ``repr`` is part of the key in the cache.
        sources: Other Python modules that emit code: the text of all is part of the key, too.

    Returns:
        The kernels by name.
    """
    machine = _machine()
    name = emitter.__name__.rpartition(".")[2]
    path = _cache_folder() / f"{name}-{_fingerprint((emitter, *sources), repr(settings))}.o"
    try:
        code = path.read_bytes()
    except OSError:
        print(f"quinr-pl: compiling {title}, once for this machine", file=sys.stderr, flush=True)
        code = _compile(emitter.build(*settings), machine)
        _keep(path, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _alive.append(engine)
    return {kernel: _SIGNATURE(engine.get_function_address(kernel)) for kernel in emitter.NAMES}


def _machine() -> llvm.TargetMachine:
    _initialize()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True
    )


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _features() -> str:
    features: str = llvm.get_host_cpu_features().flatten()
    return features


def _compile(emitted: ir.Module, machine: llvm.TargetMachine) -> bytes:
    module = llvm.parse_assembly(str(emitted))
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


def _fingerprint(sources: tuple[ModuleType, ...], settings: str) -> str:
    """Changes with anything that the machine code depends on."""
    parts = [llvmlite.__version__, llvm.get_default_triple(), llvm.get_host_cpu_name(), _features(), settings]
    texts = [inspect.getsource(module) for module in (*_SOURCES, *sources)]
    return hashlib.sha256("\n".join(parts + texts).encode()).hexdigest()[:16]


def _cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "quinr-pl"


def _keep(path: Path, code: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(code)
        os.replace(file.name, path)
    except OSError:
        # A cache that cannot be written costs the next process a compilation, nothing else.
        pass
