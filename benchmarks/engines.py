"""Circuit simulators side by side: training steps and forward passes, in coordinates per second.

    python -m benchmarks.engines --quick
    python -m benchmarks.engines --json benchmarks/results/engines.json --interpreter torchquantum=PYTHON ...

One run has one machine, one number of threads, and one process for each engine and circuit, which is bound
to as many cores as it may have threads. A training step is probabilities of the last three basis states,
then gradients in all weights and angles; the time is that of the fastest of the calls that fit into
``--seconds``. The machine's own rate is that of a float32 matrix product, by torch or by NumPy, whichever is
faster, measured in the same run, before and after. Results are written after every engine, so that an
interrupted run keeps what it has. Simulators that need an environment of their own get it by
``--interpreter ENGINE=PYTHON``; see ``benchmarks/requirements-peers.txt``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cases import CIRCUITS, Case, flops
from benchmarks.engines_table import table
from benchmarks.matrix_product import matrix_product_gflops
from benchmarks.peers import MODULES, ON_CUDA, ON_GPU_ALONE
from quinr_pl.atomic_file import write_bytes

_ROOT = Path(__file__).parent.parent
_QUICK_ENGINES = ("cpu", "lightning.qubit", "default.qubit")
_BATCHES = (1, 16, 256, 4096, 16384, 65536)
_QUICK_BATCHES = (1, 16, 4096, 65536)
_COMPILED = {"tensorcircuit-ng": (4096, 16384)}
"""Batches of an engine that compiles anew for every batch, which takes longer than the measurement."""

Row = dict[str, Any]


def main() -> None:
    """Run the benchmark and print its table."""
    options = _parse()
    result: dict[str, Any] = {"machine": _machine(options), "rows": [], "skipped": []}
    for case in options.cases:
        for engine in options.engines:
            rows, reason = _measure(engine, case, options)
            result["rows"] += rows
            if reason:
                result["skipped"].append({"engine": engine, **asdict(case), "reason": reason})
            _show(engine, case, rows, reason)
            if options.json:
                _keep(result, options.json)
    # The machine's rate may change under a long run: the share is of the faster of both measurements.
    again = matrix_product_gflops(options.threads)
    result["machine"]["matrix_product_gflops"] = max(result["machine"]["matrix_product_gflops"], again)
    _add_shares(result)
    if options.json:
        _write(result, options.json)
    print(table(result))


def _add_shares(result: dict[str, Any]) -> None:
    product = result["machine"]["matrix_product_gflops"]
    for row in result["rows"]:
        if row["engine"] == "cpu":
            row["gflops"] = row["coords_per_s"] * flops(Case.of(row), row["mode"]) / 1e9
            row["share_of_matrix_product"] = row["gflops"] / product


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="n = 4 and 6, three engines, under a minute")
    parser.add_argument(
        "--json", type=Path, help="results as they come; at the end .csv and .png beside them"
    )
    parser.add_argument("--engines", nargs="+", choices=MODULES, help="default: all of the device")
    parser.add_argument("--circuits", nargs="+", choices=CIRCUITS, default=["main"])
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="cuda: those of benchmarks.peers.ON_CUDA"
    )
    parser.add_argument("--batches", nargs="+", type=int, default=None)
    parser.add_argument("--modes", nargs="+", choices=("train", "forward"), default=["train", "forward"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=1.0, help="for each engine, circuit, batch and mode")
    parser.add_argument("--limit", type=float, default=6.0, help="skip batches whose calls would take longer")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one engine on one circuit")
    parser.add_argument("--interpreter", action="append", default=[], metavar="ENGINE=PYTHON")
    options = parser.parse_args()
    names = ["main"] if options.quick else options.circuits
    options.cases = list(dict.fromkeys(case for name in names for case in CIRCUITS[name]))
    served = ON_CUDA if options.device == "cuda" else [name for name in MODULES if name not in ON_GPU_ALONE]
    options.engines = options.engines or (_QUICK_ENGINES if options.quick else served)
    for engine in options.engines:
        if engine not in served:
            parser.error(f"--engines {engine}: does not run on --device {options.device}; choose {served}")
    options.batches = options.batches or (_QUICK_BATCHES if options.quick else _BATCHES)
    if options.quick:
        options.seconds, options.limit = min(options.seconds, 0.3), min(options.limit, 2.0)
    for item in options.interpreter:
        if item.partition("=")[0] not in MODULES or "=" not in item:
            parser.error(f"--interpreter {item}: needs ENGINE=PYTHON")
    options.interpreters = dict(item.split("=", 1) for item in options.interpreter)
    return options


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    gpu = {"gpu": torch.cuda.get_device_name()} if options.device == "cuda" else {}
    return {
        "processor": _processor(),
        **gpu,
        "cores": os.cpu_count(),
        "threads": options.threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "matrix_product_gflops": matrix_product_gflops(options.threads),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "unknown")


def _measure(engine: str, case: Case, options: argparse.Namespace) -> tuple[list[Row], str]:
    """Rows of one engine on one circuit, and why there are no more."""
    job = {
        "engine": engine,
        "case": asdict(case),
        "batches": [batch for batch in options.batches if batch in _COMPILED.get(engine, (batch,))],
        "modes": options.modes,
        "threads": options.threads,
        "seconds": options.seconds,
        "limit_s": options.limit,
        "device": options.device,
    }
    # Lightning's threads only get in each other's way on so few qubits.
    threads = "1" if engine.startswith("lightning") else str(options.threads)
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={str(options.threads > 1).lower()}",
            "JAX_PLATFORMS": options.device,
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",  # float32 on a GPU too, where it would be 10 bits
            "XDG_CACHE_HOME": cache,
            "PYTHONPATH": str(_ROOT),
            "PYTHONWARNINGS": "ignore",
        }
        command = [
            options.interpreters.get(engine, sys.executable),
            "-m",
            "benchmarks.worker",
            json.dumps(job),
        ]
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=_ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=options.timeout,
            )
            output, failure = done.stdout, done.stderr if done.returncode else ""
        except subprocess.TimeoutExpired as error:
            output, failure = (error.stdout or b"").decode(), f"more than {options.timeout:.0f} s"
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return rows, failure.strip().rpartition("\n")[2]


def _show(engine: str, case: Case, rows: list[Row], reason: str) -> None:
    best = {row["mode"]: row for row in sorted(rows, key=lambda row: row["coords_per_s"])}
    parts = [f"{mode} {row['coords_per_s']:,.0f}/s (batch {row['batch']})" for mode, row in best.items()]
    error = f"error {max(row['max_error'] for row in rows):.0e}" if rows else ""
    print(f"n={case.qubits} {engine:17}", *parts, error, reason, sep="  ", flush=True)


def _keep(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(result, indent=1) + "\n").encode())


def _write(result: dict[str, Any], path: Path) -> None:
    _keep(result, path)
    columns = list(dict.fromkeys(key for row in result["rows"] for key in row))
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(result["rows"])
    from benchmarks.engines_plot import plot

    plot(result["rows"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
