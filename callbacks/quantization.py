"""Validation measures what the file will hold."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.codec import EncodedSignal, QuantizationConfig, compress, decode
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import psnr
from quinr_pl.network import CoordinateNetwork


@dataclass(frozen=True)
class Measurement:
    """One file and what its decoder makes of it.

    Attributes:
        step: Optimizer steps taken before.
        encoded: The file.
        reconstruction: Decoded values, (height, width, channels), in the dtype of the signal.
        psnr: Of the reconstruction against the signal, in dB.
        encode_seconds: Quantization and entropy coding.
        decode_seconds: From bytes to values.
    """

    step: int
    encoded: EncodedSignal
    reconstruction: npt.NDArray
    psnr: float
    encode_seconds: float
    decode_seconds: float


class WeightQuantization(Callback):
    """Quantizes the weights, encodes them, decodes the file and logs its PSNR as ``val/psnr_quantized``.

    Other callbacks read ``measurement``, so this one comes first in the list.

    Args:
        quantization: Bits of the weights.
    """

    def __init__(self, quantization: QuantizationConfig | None = None) -> None:
        self.quantization = quantization or QuantizationConfig()
        self.measurement: Measurement | None = None

    def measure(self, trainer: pl.Trainer, module: pl.LightningModule) -> Measurement:
        """Encodes the present weights and decodes the file; one process works, all get the result."""
        mine = self._measure(trainer, module) if trainer.is_global_zero else None
        measurement: Measurement = trainer.strategy.broadcast(mine)  # type: ignore[assignment]
        self.measurement = measurement
        return measurement

    def _measure(self, trainer: pl.Trainer, module: pl.LightningModule) -> Measurement:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        start = time.perf_counter()
        encoded = compress(fitted_network(module), data.spec, self.quantization)
        encoded_at = time.perf_counter()
        reconstruction = decode(encoded.data).reconstruct()
        decoded_at = time.perf_counter()
        return Measurement(
            trainer.global_step,
            encoded,
            reconstruction,
            psnr(data.values, reconstruction, data.spec.peak),
            encoded_at - start,
            decoded_at - encoded_at,
        )

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measures and logs."""
        if not trainer.sanity_checking:
            measurement = self.measure(trainer, pl_module)
            pl_module.log("val/psnr_quantized", measurement.psnr, sync_dist=True)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measures and logs."""
        measurement = self.measure(trainer, pl_module)
        pl_module.log("test/psnr_quantized", measurement.psnr, sync_dist=True)


def fitted_network(module: pl.LightningModule) -> CoordinateNetwork:
    """The network that a module fits."""
    network = module.network
    assert isinstance(network, CoordinateNetwork)
    return network


def find_quantization(trainer: pl.Trainer, reader: Callback) -> WeightQuantization:
    """The WeightQuantization of a trainer.

    Raises:
        QuinrError: If there is none.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightQuantization):
            return callback
    name = type(reader).__name__
    raise QuinrError(f"--trainer.callbacks: {name} needs a WeightQuantization before it; add one")
