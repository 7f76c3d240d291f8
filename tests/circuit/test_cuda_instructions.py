"""What the CUDA engine's kernels become on a GPU, by their machine code: no GPU is needed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from benchmarks.cases import MAIN
from quinr_pl.circuit.engines.cuda import code
from quinr_pl.errors import QuinrError
from quinr_pl.native import cuda_compiler

SPILLED = 128
"""Bytes a thread may keep outside its registers; 32 of them are for reducing the largest angles."""
MOST = {4: 450, 6: 2100}
"""Warp instructions for a coordinate, forward and backward, with 16 amplitudes a lane."""


def has_tools() -> bool:
    try:
        return bool(cuda_compiler.version()) and find_spec("triton") is not None
    except QuinrError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_tools(), reason="needs NVRTC and Triton's disassembler"),
]


@pytest.mark.parametrize("case", MAIN, ids=lambda case: case.name)
def test_instructions_of_a_coordinate(case):
    from benchmarks.cuda_code import instructions, usage

    lanes = max(0, case.qubits - 4)
    counts = instructions(case, lanes, "sm_90")
    assert 0 < counts["forward"] < counts["backward"]
    assert counts["both"] <= MOST[case.qubits]
    for row in usage(case.qubits, lanes, "float32", "sm_90"):
        assert row["spilled_bytes"] <= SPILLED, row
        if row["kernel"] == "backward":
            assert row["registers"] <= 128  # 16 warps to a multiprocessor


def test_marks_leave_no_trace_without_being_asked_for():
    from benchmarks.cuda_code import _tool

    cubin = cuda_compiler.compiled(code.source(), "sm_90", code.constants(2, 0, torch.float32))
    assert "PMTRIG" not in _tool("nvdisasm", cubin, "-c")
