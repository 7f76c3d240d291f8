"""Compiles the CUDA engine for the GPU at hand, on all cores: ``python -m benchmarks.gpu.compile``.

What other parts would compile one after the other, at the cost of their time.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from benchmarks.gpu.engines import LANES, with_blocks
from quinr_pl.circuit.engines.cuda import code
from quinr_pl.circuit.engines.cuda.call import lane_qubits
from quinr_pl.circuit.engines.cuda.engine import MAX_QUBITS
from quinr_pl.native.cuda_code import architecture

BATCHES = (5, 77, 4096, 65536, 1 << 20)


def main() -> None:
    """Print how many programs there are, and what failed."""
    start = time.perf_counter()
    target = architecture(torch.device("cuda", 0))
    wanted = {
        (qubits, lane_qubits(qubits, batch, dtype), str(dtype), target, 0)
        for qubits in range(1, MAX_QUBITS + 1)
        for batch in BATCHES
        for dtype in (torch.float32, torch.float64)
    }
    wanted |= {
        (qubits, lanes, "torch.float32", target, blocks)
        for qubits, some in LANES.items()
        for lanes, blocks in some
    }
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        reasons = [reason for reason in pool.map(_compile, sorted(wanted)) if reason]
    print(*reasons, f"{len(wanted)} programs in {time.perf_counter() - start:.0f} s", sep="\n")


def _compile(wanted: tuple[int, int, str, str, int]) -> str:
    qubits, lanes, dtype, target, blocks = wanted
    kept = code.constants
    try:
        if blocks:
            code.constants = with_blocks(blocks)
        code.program.cache_clear()
        code.program(qubits, lanes, getattr(torch, dtype.removeprefix("torch."))).machine_code(target)
    except Exception as error:  # one that fails does not end the others
        return f"{qubits} qubits, {1 << lanes} lanes, {dtype}: {error}"
    finally:
        code.constants = kept
    return ""


if __name__ == "__main__":
    main()
