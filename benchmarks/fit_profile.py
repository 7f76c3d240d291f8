"""Where the steps of a fit spend their time: ``python -m benchmarks.fit_profile [CONFIG] [--json PATH]``.

Runs ``quinr-pl fit`` on a config for so many steps, with a clock around the parts of every one: the network's
forward pass, its backward pass, the optimizer, and all the rest (data, hooks, logging). A step lasts from the
end of the one before to its own; the first steps warm up and do not count, and neither does one that a
validation precedes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.atomic_file import write_bytes
from quinr_pl.commands.main import main as quinr_pl

_WARM_UP = 50
_PARTS = ("forward", "backward", "optimizer")


class _Measured(Exception):
    """All steps are taken."""


class StepClock(Callback):
    """Times the parts of every step.

    Args:
        steps: How many, after which the fit is left.
        path: Where they go, as JSON.
    """

    def __init__(self, steps: int, path: str) -> None:
        self.steps, self.path = steps, Path(path)
        self.rows: list[dict[str, float]] = []
        self._row: dict[str, float] = {}
        self._ended: float | None = None
        self._since = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hangs clocks on network and optimizer."""
        network, optimizer = pl_module.network, trainer.optimizers[0]
        network.register_forward_pre_hook(lambda *_: self._start())
        network.register_forward_hook(lambda *_: self._stop("forward"))
        optimizer.register_step_post_hook(lambda *_: self._stop("optimizer"))

    def _start(self) -> None:
        self._since = time.perf_counter()

    def _stop(self, part: str) -> None:
        self._row[part] = self._row.get(part, 0.0) + time.perf_counter() - self._since

    def on_before_backward(self, *_: Any) -> None:
        """Starts the backward pass."""
        self._start()

    def on_after_backward(self, *_: Any) -> None:
        """Ends the backward pass; the optimizer, within whose step both passes run, goes on."""
        self._stop("backward")
        self._start()

    def on_validation_start(self, *_: Any) -> None:
        """The step after a validation does not count."""
        self._ended = None

    def on_train_batch_start(self, *_: Any) -> None:
        """Clears what a validation left."""
        self._row = {}

    def on_train_batch_end(self, *_: Any) -> None:
        """Keeps a step."""
        now = time.perf_counter()
        if self._ended is not None:
            self.rows.append({**self._row, "total": now - self._ended})
        self._ended = now
        if len(self.rows) >= self.steps + _WARM_UP:
            self.path.write_text(json.dumps(self.rows[_WARM_UP:]))
            raise _Measured


def main() -> None:
    """Profile a config and print the shares."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_profile", description=__doc__)
    parser.add_argument("config", nargs="?", default="kodak.yaml")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        steps = Path(folder) / "steps.json"
        clock = ["--trainer.callbacks+=benchmarks.fit_profile.StepClock"]
        clock += [f"--trainer.callbacks.steps={options.steps}", f"--trainer.callbacks.path={steps}"]
        save = f"--trainer.logger.init_args.save_dir={folder}"
        try:
            quinr_pl(["fit", "--config", options.config, save, *clock])
        except BaseException:
            if not steps.exists():
                raise
        rows = json.loads(steps.read_text())
    result = {"config": options.config, "steps": len(rows), **summary(rows)}
    print(json.dumps(result, indent=1))
    if options.json:
        write_bytes(options.json, (json.dumps(result, indent=1) + "\n").encode())


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Shares of the parts in all steps, and how large the share outside the network gets in a step."""
    total = sum(row["total"] for row in rows)
    parts = {part: sum(row[part] for row in rows) / total for part in _PARTS}
    outside = sorted(1 - (row["forward"] + row["backward"]) / row["total"] for row in rows)
    return {
        "milliseconds": 1000 * statistics.median(row["total"] for row in rows),
        "shares": {**parts, "rest": 1 - sum(parts.values())},
        "outside_network": {
            "all_steps": 1 - parts["forward"] - parts["backward"],
            "median": statistics.median(outside),
            "95th_percentile": outside[int(0.95 * len(outside))],
            "99th_percentile": outside[int(0.99 * len(outside))],
            "worst": outside[-1],
        },
    }


if __name__ == "__main__":
    main()
