"""Validation measures what the file will hold."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.codec import (
    UNLIMITED,
    EncodedSignal,
    Nearest,
    Progress,
    Rounding,
    check_encodable,
    compress,
    decode,
    encode,
    rounding_of,
    untold,
)
from quinr_pl.codec.rounding.aware import QuantizationAwareTraining, QuantizationTraining
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.edges import with_best_edges
from quinr_pl.evaluation.metrics import bits_per_pixel, weighed_psnr
from quinr_pl.network import Network
from quinr_pl.signals import Points
from quinr_pl.signals.distortion import psnr


@dataclass(frozen=True)
class Measurement:
    """One file and what its decoder makes of it.

    Attributes:
        step: Optimizer steps taken before.
        encoded: File of the quantized network.
        reconstruction: Decoded values, (*shape, channels), in the dtype of the signal.
        psnr: Of the reconstruction against the signal, in dB.
        bpp: Bits of the file for each pixel.
        encode_seconds: Quantization and entropy coding.
        decode_seconds: From bytes to values.
        points: Decoded points of a scan, (points, 3); None of other signals.
    """

    step: int
    encoded: EncodedSignal
    reconstruction: npt.NDArray
    psnr: float
    bpp: float
    encode_seconds: float
    decode_seconds: float
    points: Points | None = None

    def weighed(self, rate_weight: float) -> float:
        """The PSNR in dB, less what the file's size costs at a price of a bit for each pixel."""
        return weighed_psnr(self.psnr, self.bpp, rate_weight)


class WeightQuantization(Callback):
    """Quantizes the weights, encodes them, decodes the file and logs its PSNR as ``val/psnr_quantized``.

    Other callbacks read ``measurement``, so this one comes first in the list.

    Args:
        quantization: How validation rounds weights: ``{method: NAME, OPTION: VALUE}`` with a method and its
            options (docs/quantization.md); nearest, which takes bits, is quick.
        final: How the best weights are rounded at the end of the fit: compensated (gptq) and stepwise
            (incremental) take a rate, bits for each weight; searched (rdoq) is for networks with a
            rate_weight. As in validation when null.
        training: How the last part of the fit feels the quantization; not at all when null. Its step
            sizes are then those of the file, instead of ``final``.

    Attributes:
        measurement: The last file and its figures; None before the first.
        listeners: Told of validations, and of each part of the final rounding.
    """

    def __init__(
        self,
        quantization: Rounding | Mapping[str, Any] | None = None,
        final: Rounding | Mapping[str, Any] | None = None,
        training: QuantizationTraining | None = None,
    ) -> None:
        self.quantization = _rounding("quantization", quantization) or Nearest()
        self.final = _rounding("final", final)
        self.training = training
        self.measurement: Measurement | None = None
        self.listeners: list[Progress] = []
        self._aware: QuantizationAwareTraining | None = None
        self._resumed: dict[str, Any] | None = None

    def _tell(self, what: str, done: int, total: int) -> None:
        for listener in self.listeners:
            listener(what, done, total)

    @property
    def reads_gradients(self) -> bool:
        """Whether training steps must show their gradients: quantization-aware ones change weights before."""
        return self.training is not None

    def state_dict(self) -> dict[str, Any]:
        """Step sizes in training."""
        return {} if self._aware is None else self._aware.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from an earlier fit."""
        self._resumed = state_dict or None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuses a network that no file can hold, before time is spent on it."""
        spec = trainer.datamodule.spec  # type: ignore[attr-defined]
        network = fitted_network(pl_module)
        check_encodable(network, spec, self.quantization, self.final or self.quantization)
        if self.training is not None:
            self.training.check(network)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuses to make a file of a network that was never trained."""
        if trainer.global_step == 0:
            raise QuinrError(
                "the fit ended before its first step; give more of --trainer.max_steps, max_epochs, max_time "
                "or limit_train_batches"
            )

    on_fit_end = on_train_end

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepares quantization-aware training, where it is asked for."""
        if self.training is None:
            return
        spec = trainer.datamodule.spec  # type: ignore[attr-defined]
        self._aware = QuantizationAwareTraining(fitted_network(pl_module), spec, self.training)
        if self._resumed is not None:
            self._aware.load_state_dict(self._resumed)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Rounds the weights for this step."""
        if self._aware is not None:
            self._aware.before_step(trainer.global_step / trainer.estimated_stepping_batches)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the weights back."""
        if self._aware is not None:
            self._aware.after_step()

    def settings(self, final: bool) -> Rounding:
        """How the weights are quantized at present, or at the end of the fit."""
        if self._aware is not None and self._aware.steps:
            return Nearest(step_sizes=self._aware.steps)
        return self.final if final and self.final is not None else self.quantization

    def measure(self, trainer: pl.Trainer, network: Network, final: bool = False) -> Measurement:
        """Encodes a network and decodes the file; one process works, all get the result."""
        mine = self._measure(trainer, network, final) if trainer.is_global_zero else None
        measurement: Measurement = trainer.strategy.broadcast(mine)  # type: ignore[assignment]
        self.measurement = measurement
        return measurement

    def _measure(self, trainer: pl.Trainer, network: Network, final: bool) -> Measurement:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        start = time.perf_counter()
        tell = self._tell if final else untold
        self._tell("rounding" if final else "measuring", 0, 1)
        encoded = compress(network, data.spec, self.settings(final), data.targets, tell)
        encoded_at = time.perf_counter()
        tell(f"decoding {len(encoded.data)} bytes", 0, 1)
        decoded = decode(encoded.data, limits=UNLIMITED, reference=data.spec.reference)
        reconstruction = decoded.reconstruct(
            progress=lambda done, total: tell(f"decoding {len(encoded.data)} bytes", done, total)
        )
        decoded_at = time.perf_counter()
        spec = decoded.spec
        if final and data.points is not None and spec.reference is None:  # whose scanner it has otherwise
            spec = with_best_edges(spec, reconstruction, data.points)
            if spec.scanner != decoded.spec.scanner:
                encoded = encode(decoded.quantized, spec, decoded.extras)
        decoded_psnr = psnr(data.values, reconstruction, data.spec.peak)
        bpp = bits_per_pixel(len(encoded.data), data.spec.pixels)
        return Measurement(
            trainer.global_step,
            encoded,
            reconstruction,
            decoded_psnr,
            bpp,
            encoded_at - start,
            decoded_at - encoded_at,
            spec.points(reconstruction),
        )

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measures and logs."""
        if not trainer.sanity_checking:
            measurement = self.measure(trainer, fitted_network(pl_module))
            pl_module.log("val/psnr_quantized", measurement.psnr, sync_dist=True)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measures and logs."""
        measurement = self.measure(trainer, fitted_network(pl_module))
        pl_module.log("test/psnr_quantized", measurement.psnr, sync_dist=True)


def _rounding(argument: str, options: Rounding | Mapping[str, Any] | None) -> Rounding | None:
    return None if options is None else rounding_of(options, f"--trainer.callbacks.{argument}")


def fitted_network(module: pl.LightningModule) -> Network:
    """The network that a module fits."""
    network = module.network
    assert isinstance(network, Network)
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
