"""Circuit simulators side by side: training steps and forward passes, in coordinates per second.

    python -m benchmarks.engines --quick
    python -m benchmarks.engines --json benchmarks/results/engines.json --interpreter torchquantum=PYTHON ...

One run has one machine, one number of threads, and one process for each engine and circuit, which is bound
to as many cores as it may have threads. A training step is probabilities of the last three basis states,
then gradients in all weights and angles; the time is that of the fastest of the calls that fit into
``--seconds``. The machine's own rate is that of torch's float32 matrix product, measured in the same run.
Simulators that need an environment of their own get it by ``--interpreter ENGINE=PYTHON``; see
``benchmarks/requirements-peers.txt``.
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
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cases import DEEP, MAIN, SHALLOW, Case, flops
from benchmarks.peers import MODULES

_ROOT = Path(__file__).parent.parent
_QUICK_ENGINES = ("cpu", "lightning.qubit", "default.qubit")
_BATCHES = (1, 16, 256, 4096, 16384, 65536)
_QUICK_BATCHES = (1, 16, 4096, 65536)
_COMPILED = {"jax-merged": (4096, 16384), "tensorcircuit-ng": (4096, 16384)}
"""Batches of engines that compile anew for every batch, which takes them longer than the measurement."""
_CIRCUITS = {"main": MAIN, "shallow": SHALLOW, "deep": DEEP}
_TARGETS = {"lightning.qubit": 15_000, "default.qubit": 120, "packaged": 50}
_JAX_TARGETS = {4: 4, 6: 8}

Row = dict[str, Any]


def main() -> None:
    """Run the benchmark and print its table."""
    options = _parse()
    result: dict[str, Any] = {"machine": _machine(options.threads), "rows": [], "skipped": []}
    for case in options.cases:
        for engine in options.engines:
            rows, reason = _measure(engine, case, options)
            result["rows"] += rows
            if reason:
                result["skipped"].append({"engine": engine, **asdict(case), "reason": reason})
            _show(engine, case, rows, reason)
    product = result["machine"]["matrix_product_gflops"]
    for row in result["rows"]:
        if row["engine"] == "cpu":
            case = Case(row["qubits"], row["folds"], row["uploads"], row["layers"])
            row["gflops"] = row["coords_per_s"] * flops(case, row["mode"]) / 1e9
            row["share_of_matrix_product"] = row["gflops"] / product
    print(table(result))
    if options.json:
        _write(result, options.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="n = 4 and 6, three engines, under a minute")
    parser.add_argument("--json", type=Path, help="write results here, and .csv and .png beside them")
    parser.add_argument("--engines", nargs="+", choices=MODULES, help="default: all")
    parser.add_argument("--circuits", choices=_CIRCUITS, default="main")
    parser.add_argument("--batches", nargs="+", type=int, default=None)
    parser.add_argument("--modes", nargs="+", choices=("train", "forward"), default=["train", "forward"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=1.0, help="for each engine, circuit, batch and mode")
    parser.add_argument("--limit", type=float, default=6.0, help="skip batches whose calls would take longer")
    parser.add_argument("--interpreter", action="append", default=[], metavar="ENGINE=PYTHON")
    options = parser.parse_args()
    options.cases = MAIN if options.quick else _CIRCUITS[options.circuits]
    options.engines = options.engines or (_QUICK_ENGINES if options.quick else tuple(MODULES))
    options.batches = options.batches or (_QUICK_BATCHES if options.quick else _BATCHES)
    if options.quick:
        options.seconds, options.limit = min(options.seconds, 0.5), min(options.limit, 2.0)
    options.interpreters = dict(item.split("=", 1) for item in options.interpreter)
    return options


def _machine(threads: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(2, 1536, 1536)
    product = torch.empty_like(a)
    fastest = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        fastest = min(fastest, time.perf_counter() - start)
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "matrix_product_gflops": 2 * 1536**3 / fastest / 1e9,
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
    }
    # Lightning's threads only get in each other's way on so few qubits.
    threads = "1" if engine.startswith("lightning") else str(options.threads)
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={str(options.threads > 1).lower()}",
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
                command, env=environment, cwd=_ROOT, capture_output=True, text=True, timeout=300, check=False
            )
            output, failure = done.stdout, done.stderr if done.returncode else ""
        except subprocess.TimeoutExpired as error:
            output, failure = (error.stdout or b"").decode(), "more than 300 s"
    rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return rows, failure.strip().rpartition("\n")[2]


def _show(engine: str, case: Case, rows: list[Row], reason: str) -> None:
    best = {row["mode"]: row for row in sorted(rows, key=lambda row: row["coords_per_s"])}
    parts = [f"{mode} {row['coords_per_s']:,.0f}/s (batch {row['batch']})" for mode, row in best.items()]
    error = f"error {max(row['max_error'] for row in rows):.0e}" if rows else ""
    print(f"n={case.qubits} {engine:17}", *parts, error, reason, sep="  ", flush=True)


def table(result: dict[str, Any]) -> str:
    """The best batch of each engine on each circuit, and ours as a multiple of it, as Markdown."""
    machine = result["machine"]
    lines = [
        f"{machine['processor']}, {machine['threads']} threads, "
        f"matrix product {machine['matrix_product_gflops']:.0f} GFLOP/s",
        "",
        "| circuit | engine | train, coordinates/s | cpu is | forward, coordinates/s | cpu is | peak MiB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    cases = dict.fromkeys(_case(row) for row in result["rows"])
    for case in cases:
        rows = [row for row in result["rows"] if _case(row) == case]
        best = {mode: _best(rows, mode) for mode in ("train", "forward")}
        name = f"n={case.qubits}, {case.folds} folds, {case.uploads}×{case.layers}"
        for engine in dict.fromkeys(row["engine"] for row in rows):
            cells = [name, engine]
            for mode in ("train", "forward"):
                rate, own = best[mode].get(engine), best[mode].get("cpu")
                cells.append(f"{rate:,.0f}" if rate else "")
                cells.append(f"{own / rate:,.1f}×" if rate and own else "")
            peak = max(row["peak_mib"] for row in rows if row["engine"] == engine)
            lines.append(f"| {' | '.join([*cells, f'{peak:,.0f}'])} |")
        lines += _verdicts(case, best["train"], rows)
    return "\n".join(lines)


def _verdicts(case: Case, best: dict[str, float], rows: list[Row]) -> list[str]:
    """How far targets are reached on the main circuits."""
    if case not in MAIN or "cpu" not in best:
        return []
    packaged = [best[name] for name in best if name.endswith(("quantum", "-ng", "qandle"))]
    rates = {**best, **({"packaged": max(packaged)} if packaged else {})}
    targets = {**_TARGETS, "jax-merged": _JAX_TARGETS[case.qubits]}
    shares = [
        row["share_of_matrix_product"] for row in rows if row["engine"] == "cpu" and row["mode"] == "train"
    ]
    found = [
        f"{best['cpu'] / rates[name]:,.1f} times {name} (target {target:,})"
        for name, target in targets.items()
        if name in rates
    ]
    text = f"n={case.qubits}: " + ", ".join([*found, f"{max(shares):.0%} of the matrix product (target 45%)"])
    return [f"| {text} | | | | | | |"]


def _case(row: Row) -> Case:
    return Case(row["qubits"], row["folds"], row["uploads"], row["layers"])


def _best(rows: list[Row], mode: str) -> dict[str, float]:
    best: dict[str, float] = {}
    for row in rows:
        if row["mode"] == mode:
            best[row["engine"]] = max(best.get(row["engine"], 0.0), row["coords_per_s"])
    return best


def _write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    columns = list(dict.fromkeys(key for row in result["rows"] for key in row))
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(result["rows"])
    from benchmarks.engines_plot import plot

    plot(result["rows"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
