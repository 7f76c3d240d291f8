"""The machine's own rate: ``python -m benchmarks.matrix_product THREADS`` prints GFLOP/s of a matrix product.

Of float32, by torch and by NumPy, whichever is faster. NumPy's OpenBLAS chooses its kernel by the processor
unless the environment names one; for a fair ceiling it may choose.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_SIZE = 1536
_CALLS = 20


def matrix_product_gflops(threads: int) -> float:
    """Rate in a process of its own, in GFLOP/s."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    environment |= {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.matrix_product"],
        env=environment,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _measure() -> float:
    import numpy as np
    import torch

    a, b = np.random.default_rng(0).normal(size=(2, _SIZE, _SIZE)).astype(np.float32)
    product = np.empty_like(a)
    left, right, result = (torch.from_numpy(matrix) for matrix in (a, b, product))
    times = (
        _fastest(lambda: np.matmul(a, b, out=product)),
        _fastest(lambda: torch.mm(left, right, out=result)),
    )
    return 2 * _SIZE**3 / min(times) / 1e9


def _fastest(function: Callable[[], object]) -> float:
    fastest = float("inf")
    for _ in range(_CALLS):
        start = time.perf_counter()
        function()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


if __name__ == "__main__":
    print(_measure())
