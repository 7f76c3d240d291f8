"""Where a latent training step spends its time: ``python -m benchmarks.latent_step [--json PATH]``.

Milliseconds of the parts of a step at the full resolution of 512 x 768 pixels, with one native thread and
with several, by turns in one run. The network is that of compress.yaml, with latents of a spread of two;
torch's own operations have one thread. Whatever else the machine does falls on all settings: where the
second core is not free, there is no gain to be seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from quinr_pl.atomic_file import write_bytes
from quinr_pl.circuit.engines.cpu import engine
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.native.memory import keep_freed_memory
from quinr_pl.native.threads import native_threads
from quinr_pl.network import LatentQuINR
from quinr_pl.ops import dispatch

_HEIGHT, _WIDTH = 512, 768
_TURN = 6  # steps of a setting at a time, the first of which does not count
Milliseconds = dict[str, float]


class StepClock:
    """Times the parts of a step.

    Attributes:
        parts: Milliseconds of the last step.
    """

    def __init__(self) -> None:
        self.parts: Milliseconds = defaultdict(float)
        self._watch(dispatch._Call, lambda call: call.kernels.__name__)
        self._watch(engine._Circuit, lambda _: "circuit")

    def timed(self, part: str, function: Callable[[], Any]) -> Any:
        """What a function gives; its time is a part's."""
        start = time.perf_counter()
        result = function()
        self.parts[part] += 1000 * (time.perf_counter() - start)
        return result

    def _watch(self, operation: type[Any], name: Callable[[Any], str]) -> None:
        """Time both passes of all operations of a class."""
        run = operation.run

        def watched(call: Any, keep: bool, *tensors: Any) -> Any:
            part = name(call)
            values, gradients = self.timed(f"{part}, forward", lambda: run(call, keep, *tensors))
            backward = f"{part}, backward"
            return values, lambda *given: self.timed(backward, lambda: list(gradients(*given)))

        operation.run = watched


def main() -> None:
    """Measure by turns and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latent_step", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--neighbours", type=int, default=12)
    parser.add_argument("--width", type=int, default=12, help="hidden units of the context model")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clock, step = StepClock(), _training(options.neighbours, options.width)
    rows: dict[int, list[Milliseconds]] = {count: [] for count in options.threads}
    ends = time.perf_counter() + options.seconds
    while not all(rows.values()) or time.perf_counter() < ends:
        for count, taken in rows.items():
            with native_threads(count=count):
                for number in range(_TURN):
                    clock.parts.clear()
                    clock.timed("step", lambda: step(clock))
                    if number:
                        taken.append(dict(clock.parts))
    found = {count: _medians(taken) for count, taken in rows.items()}
    print(report(found))
    if options.json:
        write_bytes(options.json, (json.dumps(found, indent=1) + "\n").encode())


def report(found: dict[int, Milliseconds]) -> str:
    """The table, as Markdown."""
    names = sorted(next(iter(found.values())), key=lambda name: (name == "step", name))
    lines = [
        "| milliseconds, threads: | " + " | ".join(map(str, found)) + " |",
        "|---|" + "---:|" * len(found),
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{row[name]:.1f}" for row in found.values()) + " |" for name in names
    ]
    return "\n".join(lines)


def _medians(rows: Sequence[Milliseconds]) -> Milliseconds:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _training(neighbours: int, width: int) -> Callable[[StepClock], None]:
    """What takes a step."""
    torch.manual_seed(0)
    keep_freed_memory()
    network = LatentQuINR(
        height=_HEIGHT, width=_WIDTH, finest=0, grids=7, neighbours=neighbours, context_width=width
    )
    with torch.no_grad():
        for grid in network.pyramid.grids:
            grid.normal_(0, 2)
    settings: dict[str, Any] = {"betas": (0.95, 0.95), "precondition_frequency": 1, "weight_decay": 0.1}
    optimizer = CoordinateNetworkModule(network, optimizer="soap", **settings).make_optimizer()
    targets = torch.rand(_HEIGHT * _WIDTH, 3)
    coordinates = torch.zeros(_HEIGHT * _WIDTH, 2)

    def step(clock: StepClock) -> None:
        optimizer.zero_grad()
        loss = clock.timed("forward pass", lambda: network.loss(coordinates, targets, 0.88)[0])
        clock.timed("backward pass", loss.backward)
        clock.timed("optimizer", optimizer.step)

    return step


if __name__ == "__main__":
    main()
