"""Keeps the state whose decoded file is best, and that file."""

from __future__ import annotations

import copy
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_info

from quinr_pl._version import __version__
from quinr_pl.atomic_file import write_bytes
from quinr_pl.callbacks.quantization import Measurement, find_quantization, fitted_network
from quinr_pl.evaluation.metrics import rate_and_distortion

REPORTED_PACKAGES = (
    "torch",
    "pytorch-lightning",
    "pennylane",
    "pennylane-lightning",
    "constriction",
    "numpy",
)


def run_folder(trainer: pl.Trainer) -> Path:
    """The folder of this run; every process must call it."""
    return Path(trainer.log_dir or trainer.default_root_dir)


class PSNRCheckpoint(Checkpoint):
    """Keeps the best decoded PSNR: ``<signal>.quinr`` in the run folder, ``checkpoints/best.ckpt`` beside it.

    For a network that trains against its rate, the best is the least sum of error and weighed rate.

    ``checkpoints/last.ckpt`` follows at every validation and when the fit is interrupted, so that
    ``--ckpt_path last`` goes on from there. At the end of the fit the best weights are quantized with
    the final settings of WeightQuantization, which takes longer than a validation may, and
    ``result.json`` holds the figures of that file.
    """

    def __init__(self) -> None:
        self.best_psnr = -float("inf")
        self.best_quality = -float("inf")
        self.best_model_path = ""
        self.best_file: Path | None = None
        self._fit_seconds = 0.0
        self._started = 0.0
        self._folder: Path | None = None  # known from the start of a fit on

    def state_dict(self) -> dict[str, Any]:
        """What a continued fit needs to know."""
        seconds = self._fit_seconds + self._elapsed()
        return {"best_psnr": self.best_psnr, "best_quality": self.best_quality, "fit_seconds": seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from an earlier fit."""
        self.best_psnr = state_dict["best_psnr"]
        self.best_quality = state_dict.get("best_quality", self.best_psnr)
        self._fit_seconds = state_dict["fit_seconds"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()
        self._folder = run_folder(trainer)
        self._file = self._folder / f"{trainer.datamodule.name}.quinr"  # type: ignore[attr-defined]
        best = self._checkpoint("best")
        if best.is_file() and self._file.is_file():
            self.best_model_path, self.best_file = str(best), self._file
        else:
            # The best of another folder is not here to be kept.
            self.best_psnr = self.best_quality = -float("inf")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps what is better, and the present state."""
        measurement = find_quantization(trainer, self).measurement
        if trainer.sanity_checking or trainer.state.fn != "fit" or measurement is None:
            return
        self._keep(trainer, measurement)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judges the last state too, if no validation did."""
        quantization = find_quantization(trainer, self)
        measurement = quantization.measurement
        if measurement is None or measurement.step != trainer.global_step:
            self._keep(trainer, quantization.measure(trainer, fitted_network(pl_module)))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the final file and ``result.json``, also of a fit that was cut after its last step."""
        quantization = find_quantization(trainer, self)
        best = copy.deepcopy(fitted_network(pl_module))
        best.load_state_dict(self._best_weights())
        measurement = quantization.measure(trainer, best, final=True)
        if trainer.is_global_zero:
            write_bytes(self._file, measurement.encoded.data)
            self._report(trainer, pl_module, measurement)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Keeps the state of an interrupted fit and names what there is."""
        if not isinstance(exception, KeyboardInterrupt) or self._folder is None:
            return
        trainer.save_checkpoint(self._checkpoint("last"))
        best = (
            f"best file so far: {self.best_file} ({self.best_psnr:.2f} dB)"
            if self.best_file
            else "no file yet"
        )
        rank_zero_info(f"Interrupted at step {trainer.global_step}; {best}. Go on with --ckpt_path last")

    def _checkpoint(self, which: str) -> Path:
        assert self._folder is not None, "no fit has started"
        return self._folder / "checkpoints" / f"{which}.ckpt"

    def _best_weights(self) -> dict[str, torch.Tensor]:
        state = torch.load(self._checkpoint("best"), map_location="cpu", weights_only=True)["state_dict"]
        return {
            name.removeprefix("network."): weights
            for name, weights in state.items()
            if name.startswith("network.")
        }

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _keep(self, trainer: pl.Trainer, measurement: Measurement) -> None:
        better = measurement.quality > self.best_quality
        if better:
            self.best_psnr, self.best_quality = measurement.psnr, measurement.quality
            if trainer.is_global_zero:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(self._file, measurement.encoded.data)
            self.best_file, self.best_model_path = self._file, str(self._checkpoint("best"))
        trainer.save_checkpoint(self._checkpoint("last"))
        if better:
            trainer.save_checkpoint(self.best_model_path)

    def _report(self, trainer: pl.Trainer, module: pl.LightningModule, best: Measurement) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        encode_seconds = self._fit_seconds + self._elapsed()
        size = len(best.encoded.data)
        result = {
            "image": data.name,
            "method": type(module.network).__name__,
            "parameters": fitted_network(module).parameter_count(),
            **rate_and_distortion(size, data.values, best.reconstruction, data.spec, data.valid),
            "encode_seconds": round(encode_seconds, 3),
            "decode_seconds": round(best.decode_seconds, 3),
            "seed": int(os.environ.get("PL_GLOBAL_SEED", 0)),
            "versions": {"python": platform.python_version(), "quinr-pl": __version__}
            | {name: version(name) for name in REPORTED_PACKAGES},
        }
        write_bytes(self._file.parent / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                final = {"hp/psnr": result["psnr"], "hp/bpp": result["bpp"]}
                logger.log_hyperparams(dict(module.hparams), final, step=trainer.global_step)
        print(f"{self._file}: {result['psnr']:.2f} dB at {result['bpp']:.4f} bpp, {result['bytes']} bytes")
