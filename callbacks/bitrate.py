"""How many bits the file takes, and where they go."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import find_quantization, fitted_network
from quinr_pl.evaluation.metrics import bits_per_pixel


class BitrateMonitor(Callback):
    """Logs the size of the encoded file: bytes, bits per pixel, bytes of each section.

    Beside these stand ``rate/bpp_16bit`` and ``rate/bpp_32bit``, parameters times 16 or 32 bits without
    any container: the figures that papers on coordinate networks quote.
    """

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the rate of the file that this validation measured."""
        self._log(trainer, pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the rate of the file that this test measured."""
        self._log(trainer, pl_module)

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        measurement = find_quantization(trainer, self).measurement
        if trainer.sanity_checking or measurement is None:
            return
        encoded = measurement.encoded
        pixels = trainer.datamodule.spec.pixels  # type: ignore[attr-defined]
        parameters = fitted_network(pl_module).parameter_count()
        figures = {
            "rate/bytes": float(len(encoded.data)),
            "rate/bpp": bits_per_pixel(len(encoded.data), pixels),
            "rate/bits_per_parameter": 8 * len(encoded.data) / parameters,
            "rate/bpp_16bit": 16 * parameters / pixels,
            "rate/bpp_32bit": 32 * parameters / pixels,
        }
        sections = {f"rate/section/{name}": float(size) for name, size in encoded.sections.items()}
        pl_module.log_dict(figures | sections, sync_dist=True)
