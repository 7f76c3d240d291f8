"""Machine code of kernels: compiled on first use, kept on disk, called without the GIL."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from types import ModuleType

import llvmlite
from llvmlite import binding as llvm
from llvmlite import ir

from quinr_pl.native import arguments, kept_code, precision, vectors

Function = Callable[[int], None]
"""A kernel; it takes the address of its 64-bit arguments."""
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_SOURCES = (sys.modules[__name__], arguments, precision, vectors)
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
    key = _fingerprint((emitter, *sources), repr(settings))
    code = kept_code.read(name, key)
    if code is None:
        _say(f"compiling {title}, once for this machine")
        code = _compile(emitter.build(*settings), machine)
        if reason := kept_code.write(name, key, code):
            _say_once(f"compiled code is not kept, the next run compiles again: {reason}")
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
    return hashlib.sha256("\n".join(parts + texts).encode()).hexdigest()


def _say(line: str) -> None:
    if sys.stderr is not None:  # print would take stdout instead
        with suppress(OSError, ValueError):  # nobody listens any more
            print(f"quinr-pl: {line}", file=sys.stderr, flush=True)


_say_once = cache(_say)
