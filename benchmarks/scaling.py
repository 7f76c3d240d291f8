"""How the CPU engine scales: ``python -m benchmarks.scaling [--json PATH]``.

A training step from coordinates to three values and back, in float32: its time for each coordinate from 10³
to 10⁷ coordinates; its peak memory by depth; its time by qubits n, next to n 2**n. Every measurement is a
process of its own, whose peak memory is the highest resident size less that before the first step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.cases import MAIN, Case
from benchmarks.worker import peak_mib
from quinr_pl.atomic_file import write_bytes

_COORDINATES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_UPLOADS = (1, 4, 16, 64)
_QUBITS = (2, 4, 6, 8, 10, 12)
_ROOT = Path(__file__).parent.parent


def main() -> None:
    """Run all measurements and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--coordinates", nargs="+", type=int, default=list(_COORDINATES))
    parser.add_argument("--uploads", nargs="+", type=int, default=list(_UPLOADS))
    parser.add_argument("--qubits", nargs="+", type=int, default=list(_QUBITS))
    options = parser.parse_args()
    limits = options.threads, options.seconds
    result = {
        "threads": options.threads,
        "coordinates": [_measured(case, n, *limits) for case in MAIN for n in options.coordinates],
        "depth": [_measured(replace(MAIN[1], uploads=u), 65536, *limits) for u in options.uploads],
        "qubits": [_measured(Case(n, 4, 4, 1), 16384, *limits) for n in options.qubits],
    }
    print(report(result))
    if options.json:
        write_bytes(options.json, (json.dumps(result, indent=1) + "\n").encode())


def report(result: dict[str, Any]) -> str:
    """The tables, as Markdown."""
    lines = [
        "| circuit | coordinates | ns for each | against their median | peak MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for case in dict.fromkeys(Case.of(row).name for row in result["coordinates"]):
        rows = [row for row in result["coordinates"] if Case.of(row).name == case]
        middle = statistics.median(row["ns"] for row in rows)
        lines += [
            f"| {case} | {row['coordinates']:,} | {row['ns']:.1f} | {row['ns'] / middle - 1:+.0%} "
            f"| {row['peak_mib']:,.0f} |"
            for row in rows
        ]
    lines += ["", "| uploads | ns for each coordinate | peak MiB |", "|---:|---:|---:|"]
    lines += [f"| {row['uploads']} | {row['ns']:.0f} | {row['peak_mib']:.1f} |" for row in result["depth"]]
    lines += ["", "| qubits n | ns for each coordinate | ns / (n 2**n) |", "|---:|---:|---:|"]
    lines += [
        f"| {row['qubits']} | {row['ns']:.0f} | {row['ns'] / (row['qubits'] * 2 ** row['qubits']):.2f} |"
        for row in result["qubits"]
    ]
    return "\n".join(lines)


def _measured(case: Case, coordinates: int, threads: int, seconds: float) -> dict[str, Any]:
    job = {"case": asdict(case), "coordinates": coordinates, "threads": threads, "seconds": seconds}
    command = [sys.executable, "-c", "from benchmarks.scaling import work; work()", json.dumps(job)]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return {**job.pop("case"), "coordinates": coordinates, **json.loads(done.stdout)}  # type: ignore[dict-item]


def work() -> None:
    """One measurement, which the last argument of the process describes as JSON."""
    import torch

    from quinr_pl.circuit.engines.registry import choose

    job = json.loads(sys.argv[-1])
    torch.set_num_threads(job["threads"])
    ansatz, engine = Case(**job["case"]).ansatz, choose("cpu")
    generator = torch.Generator().manual_seed(0)
    shapes = [(ansatz.features_count, 2), (ansatz.features_count,), ansatz.weights_shape, (3, ansatz.states)]
    leaves = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    x = torch.rand(job["coordinates"], 2, generator=generator) * 2 - 1
    cotangent = torch.ones(()).expand(job["coordinates"], 3)

    def step(x: torch.Tensor, cotangent: torch.Tensor) -> None:
        torch.autograd.grad(engine.sine_layer(ansatz, x, *leaves), leaves, cotangent)  # type: ignore[attr-defined]

    step(x[:64], cotangent[:64])  # compiles, and takes what is kept for every later step
    before = peak_mib()
    times: list[float] = []
    while len(times) < 3 or sum(times) < job["seconds"]:
        start = time.perf_counter()
        step(x, cotangent)
        times.append(time.perf_counter() - start)
    # The fastest: other tenants of the machine only ever add.
    print(json.dumps({"ns": min(times) / job["coordinates"] * 1e9, "peak_mib": peak_mib() - before}))


if __name__ == "__main__":
    main()
