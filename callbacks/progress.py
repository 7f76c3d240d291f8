"""One bar over all steps of a fit."""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class FitProgress(ProgressBar):
    """Steps done, time left, PSNR and bits per pixel; a line a validation where there is no terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._progress: Progress | None = None
        self._task: Any = None

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
        self._progress = Progress(
            TextColumn("fit"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )
        steps = trainer.estimated_stepping_batches
        self._task = self._progress.add_task(
            "fit", total=steps, completed=trainer.global_step, figures="", start=True
        )
        self._progress.start()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Moves the bar."""
        if self._progress is not None and trainer.global_step % 10 == 0:
            self._progress.update(self._task, completed=trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the figures."""
        metrics = trainer.callback_metrics
        if self._progress is None or "val/psnr_quantized" not in metrics:
            return
        figures = f"{metrics['val/psnr_quantized']:.2f} dB"
        if "val/psnr" in metrics:
            figures += f" (float {metrics['val/psnr']:.2f})"
        if "rate/bpp" in metrics:
            figures += f", {metrics['rate/bpp']:.4f} bpp"
        self._progress.update(self._task, completed=trainer.global_step, figures=figures)
        if self._progress.disable:
            print(f"step {trainer.global_step}/{self._progress.tasks[0].total}: {figures}", file=sys.stderr)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Closes the bar."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, *args: Any) -> None:
        """Closes the bar."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
