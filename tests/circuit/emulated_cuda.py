"""The CUDA engine's kernels on the processor: compiled by g++, the lanes of a warp one after the other."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from quinr_pl.circuit.engines.cuda import code

HERE = Path(__file__).parent
COMPILER = shutil.which("g++") or shutil.which("clang++")


class EmulatedLaunch:
    def __init__(self, library):
        self._library = library

    def __call__(self, name, grid, block, shared, arguments):
        status = self._library.launch(name.encode(), grid, block, shared, ctypes.byref(arguments))
        assert status == 0, f"{name}: {'no such kernel' if status == 1 else 'wrote past its shared memory'}"

    def resident(self, name, block, shared):
        return 3  # blocks take several turns


@cache
def launcher(qubits, lane_qubits, dtype, device):
    """Stands in for code.launcher."""
    parts = [
        (HERE / "emulated_cuda.h").read_text(),
        code.source(""),
        (HERE / "emulated_circuit.cpp").read_text(),
    ]
    macros = [f"-D{name}={value}" for name, value in code.constants(qubits, lane_qubits, dtype)]
    with tempfile.TemporaryDirectory() as folder:
        text, library = Path(folder) / "circuit.cpp", Path(folder) / "circuit.so"
        text.write_text("\n".join(parts))
        command = [COMPILER, "-O1", "-std=c++17", "-shared", "-fPIC", "-w", *macros, text, "-o", library]
        subprocess.run(command, check=True)
        return EmulatedLaunch(ctypes.CDLL(str(library)))
