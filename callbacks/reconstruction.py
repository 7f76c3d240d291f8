"""What the decoded file looks like."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from quinr_pl.atomic_file import atomic_path, make_folder
from quinr_pl.callbacks.psnr_checkpoint import run_folder
from quinr_pl.callbacks.quantization import find_quantization
from quinr_pl.callbacks.tensorboard import writers
from quinr_pl.fields import require_at_least
from quinr_pl.signals import write_signal
from quinr_pl.signals.drawing import side_by_side
from quinr_pl.signals.files import usual_suffix
from quinr_pl.signals.png import write_png


class ReconstructionLogger(Callback):
    """Shows target, decoded file and error in TensorBoard, the last of them as a PNG in the run's folder too.

    Args:
        every_n_validations: How often, since pictures are large.

    Raises:
        QuinrError: If it is below 1.
    """

    def __init__(self, every_n_validations: int = 5) -> None:
        require_at_least(1, {"--trainer.callbacks.every_n_validations": every_n_validations})
        self.every_n_validations = every_n_validations
        self._validations = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the target once."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        for writer in writers(trainer):
            writer.add_image("target", data.spec.picture(data.values), 0, dataformats="HWC")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the decoded file and its error at every so many validations."""
        if trainer.sanity_checking:
            return
        if self._validations % self.every_n_validations == 0:
            self._show(trainer)
        self._validations += 1

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the last decoded file, and writes ``<signal>.png``."""
        self._show(trainer)
        measurement, folder = find_quantization(trainer, self).measurement, run_folder(trainer)
        if measurement is None or not trainer.loggers or not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        values, decoded = data.values, measurement.reconstruction
        pictures = [data.spec.picture(values), data.spec.picture(decoded)]
        pictures.append(data.spec.error_picture(values, decoded))
        make_folder(folder)
        with atomic_path(folder / f"{data.name}.png") as aside:
            write_png(side_by_side(pictures), aside)

    def _show(self, trainer: pl.Trainer) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        measurement = find_quantization(trainer, self).measurement
        if measurement is None:
            return
        for writer in writers(trainer):
            decoded = measurement.reconstruction
            shown = data.spec.picture(decoded)
            writer.add_image("reconstruction", shown, measurement.step, dataformats="HWC")
            error = data.spec.error_picture(data.values, decoded)
            writer.add_image("error", error, measurement.step, dataformats="HWC")


class ReconstructionWriter(Callback):
    """Saves what ``predict`` returns, float weights as they are, beside the run's other files."""

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Joins the blocks to one signal and writes it to a file of its kind's."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        spec = data.spec
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        predictions = torch.cat(list(trainer.predict_loop.predictions)).cpu().numpy()
        values = spec.denormalize(predictions).reshape(*spec.shape, spec.channels)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{data.name}_reconstruction{usual_suffix(spec, as_points=False)}"
        write_signal(spec.masked(values), spec, path)
        print(f"reconstruction: {path}")
