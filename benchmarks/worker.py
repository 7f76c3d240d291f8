"""Measures one engine on one circuit in a process of its own: ``python -m benchmarks.worker JOB``.

JOB is JSON; each result is a line of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.peers import MODULES

_CHECKED = 4


def main() -> None:
    """Run the job."""
    warnings.simplefilter("ignore")
    job = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
    import torch

    torch.set_num_threads(job["threads"])
    case = Case(**job["case"])
    if job["device"] == "cuda":
        torch.set_default_device("cuda")  # where benchmarks.peers.torch_functions puts its tensors
    prepare = import_module(f"benchmarks.peers.{MODULES[job['engine']]}").prepare
    before = peak_mib()
    steps: list[tuple[int, float]] = []
    for batch in job["batches"]:
        if _expected(steps, batch) > job["limit_s"]:
            break
        angles, weights, cotangent = _inputs(case, batch)
        forward, train = prepare(case.ansatz, angles, weights, cotangent, case.states)
        rows, slowest = [], 0.0
        for mode, function in (("train", train), ("forward", forward)):
            if mode not in job["modes"]:
                continue
            first, best = _time(function, job["seconds"])
            slowest = max(slowest, best)
            rows.append(
                {
                    "engine": job["engine"],
                    **job["case"],
                    "batch": batch,
                    "mode": mode,
                    "coords_per_s": batch / best,
                    "peak_mib": max(0.0, peak_mib() - before),
                    "compile_s": max(0.0, first - best),
                    "threads": job["threads"],
                    "dtype": "float32" if not job["engine"].startswith("lightning") else "float64",
                }
            )
        steps.append((batch, slowest))
        error = _error(case, forward, train, angles, weights, cotangent)
        for row in rows:
            print(json.dumps({**row, "max_error": error}), flush=True)


def _expected(steps: list[tuple[int, float]], batch: int) -> float:
    """Seconds that a call may take: as many as the last, until they grow with the batch; then on a line."""
    if not steps:
        return 0.0
    last, seconds = steps[-1]
    if len(steps) == 1 or seconds < 2 * steps[-2][1]:
        return seconds
    before, first = steps[-2]
    return seconds + (seconds - first) * (batch - last) / (last - before)


def _inputs(case: Case, batch: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = ((batch, case.ansatz.features_count), case.ansatz.weights_shape, (batch, len(case.states)))
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


def _time(function: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Seconds of the first call, and of the fastest of the calls that fit into ``seconds``."""
    start = time.perf_counter()
    function()
    first = time.perf_counter() - start
    calls: list[float] = []
    while len(calls) < 2 or sum(calls) < seconds:
        start = time.perf_counter()
        function()
        calls.append(time.perf_counter() - start)
        if first > 5 * seconds:
            break
    return first, min(calls)


def _error(
    case: Case,
    forward: Callable[[], Any],
    train: Callable[[], tuple[Any, Any]],
    angles: np.ndarray,
    weights: np.ndarray,
    cotangent: np.ndarray,
) -> float:
    """Largest difference to this package's torch engine in float64, in values and gradients."""
    import torch

    from quinr_pl.circuit.engines.torch_adjoint import TorchEngine

    rows = slice(None) if len(angles) <= 64 else slice(_CHECKED)
    leaves = [torch.from_numpy(part).double().requires_grad_() for part in (angles[rows], weights)]
    expected = TorchEngine().probabilities(case.ansatz, *leaves, case.states)
    gradients = torch.autograd.grad(expected, leaves, torch.from_numpy(cotangent[rows]).double())
    of_angles, of_weights = (_array(part) for part in train())
    pairs = [(_array(forward())[rows], expected.detach()), (of_angles[rows], gradients[0])]
    if len(angles) <= 64:
        pairs.append((of_weights, gradients[1]))
    return max(float(np.abs(found - reference.numpy()).max()) for found, reference in pairs)


def _array(values: Any) -> np.ndarray:
    return values.cpu().numpy() if hasattr(values, "cpu") else np.asarray(values)


def peak_mib() -> float:
    """Most memory that this process has had, on the GPU where it computes there."""
    if "torch" in sys.modules and sys.modules["torch"].get_default_device().type == "cuda":
        return sys.modules["torch"].cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
