"""The kernels' text and constants: a program for each number of qubits, of lanes, and precision."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch

from quinr_pl.native.cuda_code import Program

THREADS = 128
"""Most threads of a block that goes through coordinates."""
PREPARE_THREADS, FINISH_THREADS, FINISH_COLUMNS = 128, 1024, 32
_REGISTERS = 65536
"""Registers of a multiprocessor, for 32-bit numbers."""
_FILES = ("device.cuh", "lanes.cuh", "waves.cuh", "gates.cuh", "layers.cuh", "circuit.cu")


class Arguments(ctypes.Structure):
    """The one argument of every kernel, as in layers.cuh."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("angles", "weights", "cotangent")),
        *((name, ctypes.c_void_p) for name in ("probabilities", "state", "coefficients")),
        *((name, ctypes.c_void_p) for name in ("of_angles", "of_weights", "rows")),
        *((name, ctypes.c_void_p) for name in ("phases", "turns", "totals", "generators")),
        *(
            (name, ctypes.c_void_p)
            for name in ("embeds", "columns", "chains", "diagonal", "position", "ticket")
        ),
        *((name, ctypes.c_longlong) for name in ("batch", "features", "layers", "folds")),
        *((name, ctypes.c_longlong) for name in ("chain", "controlled", "measured", "row_count")),
    )


@cache
def source() -> str:
    """The kernels' text."""
    return "\n".join((Path(__file__).parent / name).read_text() for name in _FILES)


def constants(qubits: int, lane_qubits: int, dtype: torch.dtype) -> tuple[tuple[str, int | str], ...]:
    """Macros of a program.

    Args:
        qubits: Number of qubits.
        lane_qubits: So many of them number the lanes of a coordinate.
        dtype: float32 or float64.
    """
    words = dtype.itemsize // 4 << (qubits - lane_qubits)
    return (
        ("QUBITS", qubits),
        ("LANE_QUBITS", lane_qubits),
        ("REAL", "float" if dtype == torch.float32 else "double"),
        ("THREADS", THREADS),
        ("FINISH_THREADS", FINISH_THREADS),
        ("FORWARD_BLOCKS", _blocks(2 * words)),
        ("BACKWARD_BLOCKS", _blocks(4 * words)),
    )


def _blocks(amplitudes: int) -> int:
    """Blocks for a multiprocessor to hold, where a thread's amplitudes take so many registers."""
    registers = min(255, 64 + amplitudes)
    return max(1, min(8, _REGISTERS // (THREADS * registers)))


@cache
def program(qubits: int, lane_qubits: int, dtype: torch.dtype) -> Program:
    """The kernels for a number of qubits, so many of which number the lanes of a coordinate."""
    title = f"the CUDA engine for {qubits} qubits in {str(dtype).removeprefix('torch.')}"
    return Program(title, source(), constants(qubits, lane_qubits, dtype))
