"""What a GPU takes for nothing, and for moving bytes: ``python -m benchmarks.gpu.floor [--json PATH]``.

The times below which no step gets: a small operation of torch from Python, one of many in a CUDA graph, the
replay of a graph, and a copy within the device's memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu.record import card, keep

_COPIED = 1 << 28
_LAUNCHES = 200


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.floor", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measured()
    keep(options.json, {"machine": card(), **figures})
    print(card()["gpu"])
    for name, value in figures.items():
        print(f"{name:32} {value:10.3f}")


def measured() -> dict[str, float]:
    """Microseconds of launches, and the bandwidth of a copy in TB/s, bytes read and written."""
    small = torch.zeros(1, device="cuda")
    graph = torch.cuda.CUDAGraph()
    small.add_(1)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for _ in range(_LAUNCHES):
            small.add_(1)
    numbers = torch.rand(_COPIED // 4, device="cuda")
    copy = torch.empty_like(numbers)
    seconds = _device_seconds(lambda: copy.copy_(numbers))
    return {
        "launch_from_python_us": _host_seconds(lambda: small.add_(1)) * 1e6,
        "kernel_in_graph_us": _device_seconds(graph.replay) / _LAUNCHES * 1e6,
        "replay_of_graph_us": _host_seconds(graph.replay) * 1e6,
        "copy_TB_per_s": 2 * _COPIED / seconds / 1e12,
    }


def _device_seconds(call: Callable[[], object], calls: int = 20) -> float:
    """Median time of a call on the device."""
    call()
    times = []
    for _ in range(calls):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return sorted(times)[calls // 2]


def _host_seconds(call: Callable[[], object], calls: int = 1000) -> float:
    """Mean time that a call keeps Python, the device being waited for at the end only."""
    for _ in range(10):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    elapsed = time.perf_counter() - start
    torch.cuda.synchronize()
    return elapsed / calls


if __name__ == "__main__":
    main()
