"""How far a fit is, its steps, rounding and decoding as one piece of work: told to a function or by a bar."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from quinr_pl.callbacks.best_start import BestStart
from quinr_pl.callbacks.quantization import WeightQuantization
from quinr_pl.codec import Rounding
from quinr_pl.evaluation.metrics import bits_per_pixel
from quinr_pl.fit_status import FitStatus

_LOG = logging.getLogger("pytorch_lightning")
_STAGES = {"rounding": (0.0, 0.8), "searching among levels": (0.8, 0.95), "trimming": (0.8, 0.95)}
"""Where in the final rounding a part of it lies; decoding is the rest."""
_UNCOUNTED = {"measuring", "choosing a start"}
"""Parts that take next to nothing of the time."""
_SECONDS_BETWEEN_STEPS = 0.2
_SECONDS_BETWEEN_LINES = 10.0


class FitReport(Callback):
    """Tells how far a fit is: at its start, a few times a second, at validations, in the final rounding.

    Args:
        tell: Called with each status. What it raises ends the fit.
    """

    def __init__(self, tell: Callable[[FitStatus], None]) -> None:
        super().__init__()
        self._tell = tell
        self._status = FitStatus(0.0, "fitting")
        self._steps: float = math.inf
        self._finishing = 0.0  # the final rounding and decoding, in steps
        self._told_at = -math.inf

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds out how much work there is, and listens to the final rounding."""
        self._steps = trainer.estimated_stepping_batches
        duration = Rounding.duration
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            told = isinstance(callback, WeightQuantization | BestStart)
            if told and self._report_part not in callback.listeners:
                callback.listeners.append(self._report_part)
            if isinstance(callback, WeightQuantization):
                duration = callback.settings(final=True).duration
        self._finishing = duration * self._steps
        self._report_step(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Tells of the step, unless it has just told of another."""
        if time.monotonic() - self._told_at > _SECONDS_BETWEEN_STEPS:
            self._report_step(trainer, "train/psnr", "rate/expected_bytes")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tells of the figures of the decoded file."""
        if not trainer.sanity_checking:
            self._report_step(trainer, "val/psnr_quantized", "rate/bytes")

    def _report_step(self, trainer: pl.Trainer, psnr: str = "", size: str = "") -> None:
        """Tells of the step, with those of the named figures that are known."""
        known: dict[str, Any] = {}
        metrics = trainer.callback_metrics
        if {psnr, size} <= metrics.keys():
            pixels = trainer.datamodule.spec.pixels  # type: ignore[attr-defined]
            taken = int(metrics[size])
            known = {"psnr": float(metrics[psnr]), "bytes": taken, "bpp": bits_per_pixel(taken, pixels)}
        step = trainer.global_step
        self._report(f"fitting {step}/{self._steps}", self._share(step), **known)

    def _report_part(self, what: str, done: int, total: int) -> None:
        """Tells of a part of making the file, and how far it is."""
        if what in _UNCOUNTED:
            self._report(what, self._status.share)
            return
        start, end = _STAGES.get(what, (0.95, 1.0))
        share = self._share(self._steps + (start + (end - start) * done / total) * self._finishing)
        # A rounding that came out too large is done again, and what is told waits for it.
        self._report(f"{what} {done}/{total}" if total > 1 else what, max(share, self._status.share))

    def _share(self, steps: float) -> float:
        return steps / (self._steps + self._finishing) if math.isfinite(self._steps) else 0.0

    def _report(self, stage: str, share: float, **known: Any) -> None:
        self._told_at = time.monotonic()
        self._status = replace(self._status, stage=stage, share=share, **known)
        self._tell(self._status)


class FitProgress(FitReport, ProgressBar):
    """What is done at the time, how much of all, time left, step, PSNR and size of the file.

    Where there is no terminal: a line a validation, and now and then one of the final rounding.
    """

    def __init__(self) -> None:
        super().__init__(self._show)
        self._enabled = True
        self._progress: Progress | None = None
        self._task: Any = None
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
        total = 1.0 if math.isfinite(trainer.estimated_stepping_batches) else None
        self._task = self._progress.add_task("fitting", total=total, figures="")
        self._progress.start()
        if terminal:  # rich puts what is printed above the bar, which handlers made before do not know
            handlers = [h for h in _LOG.handlers if isinstance(h, logging.StreamHandler)]
            self._streams = [(handler, handler.setStream(sys.stderr)) for handler in handlers]
        super().on_train_start(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the figures."""
        super().on_validation_end(trainer, pl_module)
        metrics = trainer.callback_metrics
        if self._progress is None or not self._progress.disable or "val/psnr_quantized" not in metrics:
            return
        figures = f"{metrics['val/psnr_quantized']:.2f} dB"
        if "val/psnr" in metrics:
            figures += f" (float {metrics['val/psnr']:.2f})"
        if "rate/bpp" in metrics:
            unit = trainer.datamodule.spec.kind.rate_unit  # type: ignore[attr-defined]
            figures += f", {metrics['rate/bpp']:.4f} {unit}, {int(metrics['rate/bytes'])} bytes"
        print(f"step {trainer.global_step}/{self._steps}: {figures}", file=sys.stderr)

    def on_exception(self, trainer: pl.Trainer, *args: Any) -> None:
        """Closes the bar."""
        self._close()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Closes the bar, after the callbacks that make the file."""
        self._close()

    def _show(self, status: FitStatus) -> None:
        if self._progress is None:
            return
        figures = "" if status.psnr is None else f"{status.psnr:.2f} dB, {status.bytes:,} bytes"
        self._progress.update(self._task, description=status.stage, completed=status.share, figures=figures)

    def _report_part(self, what: str, done: int, total: int) -> None:
        super()._report_part(what, done, total)
        if self._progress is None or not self._progress.disable or what in _UNCOUNTED:
            return
        now = time.monotonic()
        if what != self._last_stage or now - self._last_line > _SECONDS_BETWEEN_LINES:
            print(self._status.stage, file=sys.stderr)
            self._last_stage, self._last_line = what, now

    def _close(self) -> None:
        if self._progress is not None:
            for handler, stream in self._streams:
                if stream is not None:
                    handler.setStream(stream)
            self._streams = []
            self._progress.stop()
            self._progress = None
