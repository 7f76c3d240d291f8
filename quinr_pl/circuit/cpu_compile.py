"""Machine code of the CPU engine's kernels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from quinr_pl.circuit import cpu_arguments, cpu_kernels, cpu_rotations, cpu_state, stages
from quinr_pl.native.machine_code import Function, load
from quinr_pl.native.vectors import Precision

_SOURCES = (cpu_arguments, cpu_rotations, cpu_state, stages)


@dataclass(frozen=True)
class Kernels:
    """Compiled kernels; each takes the address of its 64-bit arguments.

    Attributes:
        prepare: What is the same for all coordinates.
        forward: Forward pass.
        backward: Backward pass.
    """

    prepare: Function
    forward: Function
    backward: Function


@cache
def kernels(qubits: int, precision: Precision) -> Kernels:
    """The kernels for a number of qubits."""
    title = f"the CPU engine for {qubits} qubits in {precision.name}"
    return Kernels(**load(cpu_kernels, title, qubits, precision, sources=_SOURCES))
