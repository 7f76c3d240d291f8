"""Machine code of the CPU engine's kernels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from quinr_pl.circuit.engines.cpu import arguments as cpu_arguments
from quinr_pl.circuit.engines.cpu import kernels as cpu_kernels
from quinr_pl.circuit.engines.cpu import rotations as cpu_rotations
from quinr_pl.circuit.engines.cpu import state as cpu_state
from quinr_pl.circuit.lowering import stages
from quinr_pl.native.machine_code import load
from quinr_pl.native.pieces import Function
from quinr_pl.native.precision import Precision

_SOURCES = (cpu_arguments, cpu_rotations, cpu_state, stages)


@dataclass(frozen=True)
class Kernels:
    """Compiled kernels; each takes the address of its 64-bit arguments.

    Attributes:
        prepare: What is the same for all coordinates.
        forward: Compiled forward pass.
        backward: Compiled backward pass.
    """

    prepare: Function
    forward: Function
    backward: Function


@cache
def kernels(qubits: int, consecutive: bool, precision: Precision, prepared: bool) -> Kernels:
    """The kernels for a number of qubits, a layout of the coordinates and their kind; see ``Kernel``."""
    title = f"the CPU engine for {qubits} qubits in {precision.name}"
    settings = qubits, consecutive, precision, prepared
    return Kernels(**load(cpu_kernels, title, *settings, sources=_SOURCES))
