"""Machine code of the CPU engine's kernels: compiled on first use, kept on disk, called without the GIL."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding as llvm

from quinr_pl.circuit import cpu_arguments, cpu_kernels, cpu_rotations, cpu_state, cpu_vectors

_SOURCES = (cpu_arguments, cpu_kernels, cpu_rotations, cpu_state, cpu_vectors)

Function = Callable[[int], None]
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@dataclass(frozen=True)
class Kernels:
    """Compiled kernels; each takes the address of its 64-bit arguments.

    Attributes:
        prepare: What is the same for all coordinates.
        forward: Forward pass.
        backward: Backward pass.
        engine: Keeps the machine code alive.
    """

    prepare: Function
    forward: Function
    backward: Function
    engine: Any


@cache
def kernels(qubits: int, precision: cpu_vectors.Precision) -> Kernels:
    """The kernels for a number of qubits, from the cache on disk where this machine has compiled them."""
    _initialize()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    path = _cache_folder() / f"cpu-{qubits}-{precision.name}-{_fingerprint(features)}.o"
    try:
        code = path.read_bytes()
    except OSError:
        code = _compile(qubits, precision, machine)
        _keep(path, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    prepare, forward, backward = (_SIGNATURE(engine.get_function_address(name)) for name in cpu_kernels.NAMES)
    return Kernels(prepare, forward, backward, engine)


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _compile(qubits: int, precision: cpu_vectors.Precision, machine: Any) -> bytes:
    print(
        f"quinr-pl: compiling the CPU engine for {qubits} qubits in {precision.name}, once for this machine",
        file=sys.stderr,
        flush=True,
    )
    module = llvm.parse_assembly(str(cpu_kernels.build(qubits, precision)))
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


@cache
def _fingerprint(features: str) -> str:
    """Changes with anything that the machine code depends on."""
    parts = [llvmlite.__version__, llvm.get_default_triple(), llvm.get_host_cpu_name(), features]
    sources = [inspect.getsource(module) for module in (sys.modules[__name__], *_SOURCES)]
    return hashlib.sha256("\n".join(parts + sources).encode()).hexdigest()[:16]


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
