"""The engine ``cuda`` beside other ways to run the circuit on a GPU: ``python -m benchmarks.gpu.peers``.

Each has a process of its own for each circuit, see benchmarks.worker; peers compile for at most ``--timeout``
seconds, and what they have measured by then counts. Matrix products of ``3xTF32`` are JAX's algorithm of that
name, all others those of float32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cases import MAIN, Case
from benchmarks.gpu.record import keep

_ROOT = Path(__file__).parents[2]
BATCHES = (65536, 4096, 1 << 20)
PEERS = {
    "cuda in a graph": ("cuda-graph", "highest"),
    "cuda": ("cuda", "highest"),
    "JAX merged": ("jax-merged", "highest"),
    "JAX merged, real": ("jax-merged-real", "highest"),
    "JAX merged, 3xTF32": ("jax-merged-real", "TF32_TF32_F32_X3"),
    "JAX gates": ("jax-gates", "highest"),
    "torch.compile merged": ("torch-compiled-merged", "highest"),
    "torch.compile gates": ("torch-compiled-gates", "highest"),
}
"""Name -> engine of benchmarks.peers, precision of JAX's matrix products."""


def main() -> None:
    """Print a line for each process, and a table last."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--timeout", type=float, default=40.0, help="seconds for one peer on one circuit")
    parser.add_argument("--limit", type=float, default=165.0, help="seconds for all")
    options = parser.parse_args()
    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    for name in options.peers:
        for case in MAIN:
            left = options.limit - (time.perf_counter() - start)
            if left < 5:
                print(f"{name}, n={case.qubits}: no time left")
                continue
            found, reason = _measured(name, case, options.batches, min(options.timeout, left))
            rows += [{"peer": name, **row} for row in found]
            rates = [f"{row['batch']:,}: {row['coords_per_s'] / 1e6:.1f} M/s" for row in found]
            print(f"{name}, n={case.qubits}:", *rates, reason, flush=True)
            keep(options.json, {"gpu": _gpu(), "rows": rows})
    print(_table(rows))


def _gpu() -> str:
    names = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(names, capture_output=True, text=True, check=False).stdout.strip()


def _measured(name: str, case: Case, batches: list[int], timeout: float) -> tuple[list[dict[str, Any]], str]:
    engine, precision = PEERS[name]
    job = {
        "engine": engine,
        "case": asdict(case),
        "batches": list(batches),
        "modes": ["train"],
        "threads": os.cpu_count(),
        "seconds": 0.2,
        "limit_s": 2.0,
        "device": "cuda",
    }
    environment = os.environ | {
        "JAX_PLATFORMS": "cuda",
        "JAX_DEFAULT_MATMUL_PRECISION": precision,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(job)]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        reason = ""
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=_ROOT,
                stdout=output,
                stderr=errors,
                check=False,
                timeout=timeout,
            )
            status = done.returncode
        except subprocess.TimeoutExpired:
            status, reason = 0, f"stopped after {timeout:.0f} s"
        output.seek(0)
        errors.seek(0)
        rows = [json.loads(line) for line in output if line.startswith("{")]
        return rows, errors.read().strip().rpartition("\n")[2][:150] if status else reason


def _table(rows: list[dict[str, Any]]) -> str:
    """Millions of coordinates per second in training, and the largest error."""
    batches = sorted({row["batch"] for row in rows})
    lines = [f"{'':24}" + "".join(f"{batch:>12,}" for batch in batches) + "       error"]
    for qubits, name in dict.fromkeys((row["qubits"], row["peer"]) for row in rows):
        found = {row["batch"]: row for row in rows if (row["qubits"], row["peer"]) == (qubits, name)}
        rates = [f"{found[b]['coords_per_s'] / 1e6:12.1f}" if b in found else f"{'-':>12}" for b in batches]
        error = max(row["max_error"] for row in found.values())
        lines.append(f"n={qubits} {name:20}" + "".join(rates) + f"{error:12.0e}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
