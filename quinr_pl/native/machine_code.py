"""Machine code of kernels: compiled on first use, kept on disk, called without the GIL."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from types import ModuleType

import llvmlite
from llvmlite import binding

from quinr_pl.native import (
    arguments,
    arrays,
    code,
    elements,
    emitter,
    kept_code,
    llvm,
    mathematics,
    noise,
    precision,
    values,
)
from quinr_pl.native.memory import address
from quinr_pl.native.pieces import Function, Words
from quinr_pl.native.threads import Deal

_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_SOURCES = (
    *(sys.modules[__name__], arguments, arrays, code, elements, emitter, llvm),
    *(mathematics, noise, precision, values),
)
_SevenWords = ctypes.c_int64 * 7
_alive: list[binding.ExecutionEngine] = []
"""What holds the machine code."""


@cache
def load(
    emitting: ModuleType, title: str, *settings: object, sources: tuple[ModuleType, ...] = ()
) -> Mapping[str, Function]:
    """Kernels of a module, from the cache on disk where this machine has compiled them.

    Args:
        emitting: The Python module that emits them: its ``build(*settings)`` gives a ``Program``.
        title: What it is, for the line that says it is compiled.
        settings: What is built; their ``repr`` is part of the key in the cache.
        sources: Other Python modules that emit code: the text of all is part of the key, too.

    Returns:
        The kernels by name.
    """
    program: code.Program = emitting.build(*settings)
    name = emitting.__name__.rpartition(".")[2]
    return _run_natively(program, name, _fingerprint((emitting, *sources), repr(settings)), title)


def _run_natively(program: code.Program, name: str, key: str, title: str) -> Mapping[str, Function]:
    machine = _machine()
    compiled = kept_code.once(name, key, title, lambda: _compile(program, machine))
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(compiled))
    engine.finalize_object()
    _alive.append(engine)
    return {
        kernel: _MachineKernel(*map(engine.get_function_address, (kernel, llvm.dealing_name(kernel))))
        for kernel in program.kernels
    }


class _MachineKernel(Function):
    """A kernel in machine code, called without the GIL.

    Args:
        kernel: Its address.
        dealing: Address of the function that runs it on all pieces that a thread is dealt.
    """

    def __init__(self, kernel: int, dealing: int) -> None:
        self._kernel, self._dealing = _SIGNATURE(kernel), _SIGNATURE(dealing)

    def __call__(self, address: int) -> None:
        self._kernel(address)

    def take(self, deal: Deal, words: Words, places: Words, values: Words) -> None:
        """All of it in machine code: between two pieces a thread waits for no other."""
        pieces = (address(words), words.strides[0], deal.items, address(deal.next))
        own = (len(places), address(places), address(values))
        call = _SevenWords(*pieces, *own)  # by a name: an address does not keep it alive
        self._dealing(ctypes.addressof(call))


def _machine() -> binding.TargetMachine:
    _initialize()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=_features(), opt=3, jit=True
    )


@cache
def _initialize() -> None:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()


def _features() -> str:
    features: str = binding.get_host_cpu_features().flatten()
    return features


def _compile(program: code.Program, machine: binding.TargetMachine) -> bytes:
    module = binding.parse_assembly(llvm.emit(program))
    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    compiled: bytes = machine.emit_object(module)
    return compiled


def _fingerprint(sources: tuple[ModuleType, ...], settings: str) -> str:
    """Changes with anything that the machine code depends on."""
    processor = binding.get_default_triple(), binding.get_host_cpu_name(), _features()
    texts = [inspect.getsource(module) for module in (*_SOURCES, *sources)]
    parts = [llvmlite.__version__, *processor, settings, *texts]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
