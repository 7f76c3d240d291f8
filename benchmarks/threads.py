"""How many threads a fit should have: ``python -m benchmarks.threads [CONFIG ...] [--json PATH]``.

Milliseconds of a step of ``quinr-pl fit`` with so many threads for torch's own operations and so many for the
native code, alone on the machine and beside busy processes. All settings take turns within one fit,
so that what else the machine does falls on all of them; the first step of a turn does not count. A config
on latents is measured at its full resolution and at that of its first, coarse stage. ``--file`` also times
rounding, encoding and decoding of what the fit has come to, with few points and little retraining.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import WeightQuantization, find_quantization, fitted_network
from quinr_pl.codec.rounding import as_options
from quinr_pl.commands.main import main as quinr_pl
from quinr_pl.native.threads import native_threads

CONFIGS = ("sample.yaml", "kodak.yaml", "kodak_latent.yaml", "kitti_latent.yaml")
_FULL, _COARSE = "[0,0]", "[0.9,0]"  # coarse_steps that stay at the full resolution, or at a quarter
_WARM_UP_S = 4.0
_BUSY = "import os\nwhile os.getppid() == {parent}: pass"


class _Measured(Exception):
    """All turns are taken."""


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute; they end with this one at the latest."""
    code = _BUSY.format(parent=os.getpid())
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


class Turns(Callback):
    """Gives each setting its turns.

    Args:
        processes: Busy processes of the loaded turns.
        settings: Torch's threads and those of native code.
        rounds: Turns of each setting, alone and beside the busy processes.
        seconds: Of a turn, at least; two steps in any case.
        file: Whether to measure a file, too.
        path: Where the results go, as JSON.
    """

    def __init__(
        self, processes: int, settings: list[list[int]], rounds: int, seconds: float, file: bool, path: str
    ) -> None:
        self.cells = [(busy, *threads) for busy, threads in product((0, processes), settings)]
        self.rounds, self.seconds, self.file, self.path = rounds, seconds, file, Path(path)
        self.steps: dict[tuple[int, ...], list[float]] = {cell: [] for cell in self.cells}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of the warm-up."""
        self._turns = self._measure(trainer, pl_module)
        next(self._turns)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Goes on."""
        next(self._turns)

    def on_exception(self, *_: Any) -> None:
        """Ends the busy processes."""
        self._turns.close()

    def _measure(self, trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
        """One step at each ``next``."""
        started = time.perf_counter()
        while time.perf_counter() - started < _WARM_UP_S:
            yield
        for _ in range(self.rounds):
            for cell in self.cells:
                processes, threads, native = cell
                with native_threads(threads, native), busy(processes):
                    yield
                    yield from self._turn(self.steps[cell])
        rows = []
        for cell, steps in self.steps.items():
            row = dict(zip(("busy", "torch", "native"), cell, strict=True))
            row |= {"milliseconds": 1000 * statistics.mean(steps), "steps": len(steps)}
            rows.append(row | (self._file(trainer, module, cell) if self.file else {}))
        self.path.write_text(json.dumps(rows))
        raise _Measured

    def _file(self, trainer: pl.Trainer, module: pl.LightningModule, cell: Sequence[int]) -> dict[str, float]:
        """Seconds from the weights to a file and back."""
        quantizer = find_quantization(trainer, self)
        final = as_options(quantizer.settings(final=True))
        quick = {name: value for name, value in (("points", 1024), ("retraining_steps", 20)) if name in final}
        quantizer = WeightQuantization(final=final | quick)
        processes, threads, native = cell
        with native_threads(threads, native), busy(processes):
            measured = quantizer.measure(trainer, fitted_network(module), final=True)
        return {"encode_s": measured.encode_seconds, "decode_s": measured.decode_seconds}

    def _turn(self, steps: list[float]) -> Iterator[None]:
        started = last = time.perf_counter()
        taken = 0
        while taken < 2 or last - started < self.seconds:
            yield
            now = time.perf_counter()
            steps.append(now - last)
            last, taken = now, taken + 1


def main() -> None:
    """Measure the configs and print milliseconds a step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__)
    parser.add_argument("configs", nargs="*", default=list(CONFIGS))
    parser.add_argument("--cores", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--file", action="store_true", help="measure files, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for config in options.configs:
        for resolution, coarse in (
            (("1/1", _FULL), ("1/4", _COARSE)) if "latent" in config else (("1/1", ""),)
        ):
            for row in _fit(config, coarse, options):
                results.append({"config": config, "resolution": resolution, **row})
                print(json.dumps(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _fit(config: str, coarse: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    overrides = ["--model.network.coarse_steps", coarse] if coarse else []
    settings = [[1, 1], [options.cores, options.cores], [1, options.cores]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.json"
        turns = {
            "processes": options.cores,
            "settings": settings,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "file": options.file and coarse != _COARSE,
            "path": path,
        }
        flags = ["--trainer.callbacks+=benchmarks.threads.Turns"]
        flags += [f"--trainer.callbacks.{name}={value}" for name, value in turns.items()]
        flags += [f"--trainer.logger.init_args.save_dir={folder}", "--data.steps_per_epoch=1000000"]
        flags += ["--trainer.max_steps=1000000"]
        try:
            quinr_pl(["fit", "--config", config, *overrides, *flags])
        except BaseException:
            if not path.exists():
                raise
        return json.loads(path.read_text())


if __name__ == "__main__":
    main()
