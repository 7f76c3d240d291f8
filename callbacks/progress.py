"""One bar over all of the work of a fit: steps, final rounding and decoding."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from quinr_pl.callbacks.quantization import WeightQuantization
from quinr_pl.codec import Rounding

_LOG = logging.getLogger("pytorch_lightning")
_STAGES = {"rounding": (0.0, 0.8), "searching among levels": (0.8, 0.95), "trimming": (0.8, 0.95)}
"""Where in the final rounding a part of it lies; decoding is the rest."""
_SECONDS_BETWEEN_LINES = 10.0


class FitProgress(ProgressBar):
    """What is done at the time, how much of all, time left, step, PSNR and size of the file.

    Where there is no terminal: a line a validation, and now and then one of the final rounding.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._progress: Progress | None = None
        self._task: Any = None
        self._steps = math.inf
        self._finishing = 0.0
        self._last_line = -math.inf
        self._last_stage = ""
        self._streams: list[tuple[logging.StreamHandler, Any]] = []

    def disable(self) -> None:
        """Lightning silences all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Lightning's counterpart of ``disable``."""
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Prints without breaking the bar."""
        if self._progress is not None:
            self._progress.console.print(*args)
        elif self._enabled:
            print(*args)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar."""
        if not self._enabled:
            return
        terminal = sys.stderr.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(file=sys.stderr),
            disable=not terminal,
            redirect_stdout=terminal and sys.stdout.isatty(),  # what goes to a file is not for the bar
        )
        self._steps = trainer.estimated_stepping_batches
        share = Rounding.duration
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightQuantization):
                callback.progress = self._tell
                share = callback.settings(final=True).duration
        known = math.isfinite(self._steps)
        self._finishing = share * self._steps if known else 1.0
        total = self._steps + self._finishing if known else None
        self._task = self._progress.add_task("fitting", total=total, figures="")
        self._progress.start()
        if terminal:  # rich puts what is printed above the bar, which handlers made before do not know
            handlers = [h for h in _LOG.handlers if isinstance(h, logging.StreamHandler)]
            self._streams = [(handler, handler.setStream(sys.stderr)) for handler in handlers]
        self._show_step(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Moves the bar."""
        if trainer.global_step % 10 == 0:
            self._show_step(trainer, _expected(trainer))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the figures."""
        metrics = trainer.callback_metrics
        if self._progress is None or "val/psnr_quantized" not in metrics:
            return
        figures = f"{metrics['val/psnr_quantized']:.2f} dB"
        if "val/psnr" in metrics:
            figures += f" (float {metrics['val/psnr']:.2f})"
        if "rate/bpp" in metrics:
            unit = trainer.datamodule.spec.kind.rate_unit  # type: ignore[attr-defined]
            figures += f", {metrics['rate/bpp']:.4f} {unit}, {int(metrics['rate/bytes'])} bytes"
        self._show_step(trainer, figures)
        if self._progress.disable:
            print(f"step {trainer.global_step}/{self._steps}: {figures}", file=sys.stderr)

    def on_exception(self, trainer: pl.Trainer, *args: Any) -> None:
        """Closes the bar."""
        self._close()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Closes the bar, after the callbacks that make the file."""
        self._close()

    def _show_step(self, trainer: pl.Trainer, figures: str | None = None) -> None:
        if self._progress is not None:
            what = f"fitting {trainer.global_step}/{self._steps}"
            shown: dict[str, Any] = {} if figures is None else {"figures": figures}
            self._progress.update(self._task, description=what, completed=trainer.global_step, **shown)

    def _tell(self, what: str, done: int, total: int) -> None:
        """Shows a stage of making the file, and how far it is."""
        if self._progress is None:
            return
        if what == "measuring":
            self._progress.update(self._task, description=what)
            return
        start, end = _STAGES.get(what, (0.95, 1.0))
        described = f"{what} {done}/{total}" if total > 1 else what
        if math.isfinite(self._steps):
            share = start + (end - start) * done / total
            # A rounding that came out too large is done again; the bar waits for it.
            completed = max(self._steps + share * self._finishing, self._progress.tasks[0].completed)
        else:
            completed = 0.0
        self._progress.update(self._task, description=described, completed=completed)
        now = time.monotonic()
        if self._progress.disable and (
            what != self._last_stage or now - self._last_line > _SECONDS_BETWEEN_LINES
        ):
            print(described, file=sys.stderr)
            self._last_stage, self._last_line = what, now

    def _close(self) -> None:
        if self._progress is not None:
            for handler, stream in self._streams:
                if stream is not None:
                    handler.setStream(stream)
            self._streams = []
            self._progress.stop()
            self._progress = None


def _expected(trainer: pl.Trainer) -> str | None:
    """PSNR and bytes as they stand between validations; None where nobody keeps account of the bytes."""
    metrics = trainer.callback_metrics
    if not {"train/psnr", "rate/expected_bytes"} <= metrics.keys():
        return None
    return f"{metrics['train/psnr']:.2f} dB, {int(metrics['rate/expected_bytes'])} bytes"
