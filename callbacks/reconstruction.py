"""What the decoded file looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import find_quantization
from quinr_pl.callbacks.tensorboard import error_picture, picture, writers
from quinr_pl.datamodules.image_file import write_signal


class ReconstructionLogger(Callback):
    """Shows target, decoded file and error map in TensorBoard.

    Args:
        every_n_validations: How often, since pictures are large.
    """

    def __init__(self, every_n_validations: int = 5) -> None:
        self.every_n_validations = every_n_validations
        self._validations = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the target once."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        for writer in writers(trainer):
            writer.add_image("target", picture(data.values, data.spec), 0, dataformats="HWC")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the decoded file and its error at every so many validations."""
        if trainer.sanity_checking:
            return
        if self._validations % self.every_n_validations == 0:
            self._show(trainer)
        self._validations += 1

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the last decoded file."""
        self._show(trainer)

    def _show(self, trainer: pl.Trainer) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        measurement = find_quantization(trainer, self).measurement
        if measurement is None:
            return
        for writer in writers(trainer):
            decoded = measurement.reconstruction
            shown = picture(decoded, data.spec)
            writer.add_image("reconstruction", shown, measurement.step, dataformats="HWC")
            error = error_picture(data.values, decoded, data.spec)
            writer.add_image("error", error, measurement.step, dataformats="HWC")


class ReconstructionWriter(Callback):
    """Saves what ``predict`` returns, float weights as they are, beside the run's other files."""

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Joins the blocks to one signal and writes it as PNG, or as .npy if it is no image."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        spec = data.spec
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        if not trainer.is_global_zero:
            return
        predictions = torch.cat(list(trainer.predict_loop.predictions)).cpu().numpy()
        values = spec.denormalize(predictions).reshape(*spec.shape, spec.channels)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{data.name}_reconstruction{'.png' if spec.kind.is_integer else '.npy'}"
        write_signal(spec.masked(values), spec, path)
        print(f"reconstruction: {path}")
