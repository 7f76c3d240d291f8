from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from processes import completed

ROOT = Path(__file__).parents[2]


ONCE, OF_COORDINATES = ("prepare", "finish"), ("forward", "backward")
FEW = 96
"""Bytes: two dozen registers, or the stack in which a sine reduces the largest angles."""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_compile_for_a_gpu_and_stay_in_registers(tmp_path):
    """Without a GPU: by the machine code. Four qubits are one thread's, of five one lies across two lanes."""
    path = tmp_path / "code.json"
    done = completed(
        [sys.executable, "-m", "benchmarks.triton_code", "--qubits", "4", "5", "--json", str(path)],
        cwd=ROOT,
        # Interpreted kernels, as in the other tests, cannot be compiled.
        env={**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    rows = {(row["kernel"], row["qubits"]): row for row in json.loads(path.read_text())["rows"]}
    assert set(rows) == {(kernel, n) for kernel in (*ONCE, *OF_COORDINATES) for n in (4, 5)}
    for kernel in OF_COORDINATES:
        for n in (4, 5):
            assert rows[kernel, n]["spilled_bytes"] <= FEW
            assert rows[kernel, n]["registers"] <= 128  # 16 warps to a multiprocessor
    assert rows["forward", 4]["shuffles"] == 0
    assert rows["forward", 4]["shared_bytes"] == 0
    assert rows["forward", 5]["shuffles"] > 0
