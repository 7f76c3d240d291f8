"""Keeps the state whose decoded file is best, and that file."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_info

from quinr_pl.atomic_file import ensure_writable, make_folder, write_bytes
from quinr_pl.callbacks.deferred_interruption import DeferredInterruption
from quinr_pl.callbacks.quantization import Measurement, find_quantization, fitted_network
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import rate_and_distortion, weighed_psnr
from quinr_pl.versions import versions


def run_folder(trainer: pl.Trainer) -> Path:
    """The folder of this run; every process must call it."""
    return Path(trainer.log_dir or trainer.default_root_dir)


class PSNRCheckpoint(Checkpoint):
    """Keeps the best decoded PSNR: ``<signal>.quinr`` in the run folder, ``checkpoints/best.ckpt`` beside it.

    For a network that trains against its rate, the best is the least sum of error and weighed rate.

    ``checkpoints/last.ckpt`` follows at every validation and when the fit is interrupted, so that
    ``--ckpt_path last`` goes on from there and ends as the fit would have ended. It is written last, so that
    after a kill at any moment it never knows of a best state that is not kept. At the end of the fit the
    best weights are quantized with the final settings of WeightQuantization, which takes longer than a
    validation may, and ``result.json`` holds the figures of that file.

    Attributes:
        title: What messages call the file; its path where left out.
        continued_by: How an interrupted fit is continued, for the message.
    """

    title: str | None = None
    continued_by = "--ckpt_path last"

    def __init__(self) -> None:
        self.best_psnr = -math.inf
        self.best_bpp = 0.0
        self.best_model_path = ""
        self.best_file: Path | None = None
        self._fit_seconds = 0.0
        self._started = 0.0
        self._folder: Path | None = None  # known from the start of a fit on
        self._interruption = DeferredInterruption()
        self._random_state: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a continued fit needs to know."""
        return {
            "best_psnr": self.best_psnr,
            "best_bpp": self.best_bpp,
            "fit_seconds": self._fit_seconds + self._elapsed(),
            "random_state": _random_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from an earlier fit."""
        self.best_psnr, self.best_bpp = _best(state_dict)
        self._fit_seconds = state_dict["fit_seconds"]
        self._random_state = state_dict.get("random_state", {})

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock; finds out whether the file can be written before it is worked for.

        Raises:
            QuinrError: If it cannot.
        """
        self._started = time.perf_counter()
        self._folder = run_folder(trainer)
        self._file = self._folder / f"{trainer.datamodule.name}.quinr"  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            make_folder(self._folder)
            ensure_writable(self._file)
        best = self._checkpoint("best")
        kept = self._kept() if self._file.is_file() else None
        if kept is None:
            # The best of another folder is not here to be kept.
            self.best_psnr = -math.inf
            return
        self.best_model_path, self.best_file = str(best), self._file
        rate_weight = fitted_network(pl_module).rate_weight
        if weighed_psnr(*kept, rate_weight) < weighed_psnr(self.best_psnr, self.best_bpp, rate_weight):
            # The state goes on from another fit than the one whose best lies here.
            self.best_psnr, self.best_bpp = kept

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Goes on with the random numbers of the fit that is continued."""
        _set_random_state(self._random_state)
        self._interruption.begin()

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Interrupts here, where the state is whole, unless a validation may come: that belongs to it."""
        if not trainer.is_last_batch:
            self._interruption.deliver()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Interrupts after an epoch that had no validation."""
        self._interruption.deliver()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps what is better, and the present state."""
        measurement = find_quantization(trainer, self).measurement
        if trainer.sanity_checking or trainer.state.fn != "fit" or measurement is None:
            return
        self._keep(trainer, pl_module, measurement)
        self._interruption.deliver()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judges the last state too, if no validation did."""
        quantization = find_quantization(trainer, self)
        measurement = quantization.measurement
        if measurement is None or measurement.step != trainer.global_step:
            self._keep(trainer, pl_module, quantization.measure(trainer, fitted_network(pl_module)))
        self._interruption.deliver()
        self._interruption.end()

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
        self._interruption.end()
        if not isinstance(exception, KeyboardInterrupt) or self._folder is None:
            return
        last = self._checkpoint("last")
        if self._interruption.delivered:
            trainer.save_checkpoint(last)
        best = (
            f"best file so far: {self.title or self.best_file} ({self.best_psnr:.2f} dB)"
            if self.best_file
            else "no file yet"
        )
        remedy = f"Go on with {self.continued_by}" if last.is_file() else "The fit starts anew"
        rank_zero_info(f"Interrupted at step {trainer.global_step}; {best}. {remedy}")

    def _checkpoint(self, which: str) -> Path:
        assert self._folder is not None, "no fit has started"
        return self._folder / "checkpoints" / f"{which}.ckpt"

    def _kept(self) -> tuple[float, float] | None:
        """PSNR and rate that ``best.ckpt`` says of itself; None if there is none that can be read."""
        try:
            kept = torch.load(self._checkpoint("best"), map_location="cpu", weights_only=True)
            return _best(kept["callbacks"][self.state_key])
        except Exception:  # torch.load raises whatever the broken file leads to
            return None

    def _best_weights(self) -> dict[str, torch.Tensor]:
        path = self._checkpoint("best")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        except Exception as error:  # torch.load raises whatever the broken file leads to
            raise QuinrError(f"{path}: not a readable checkpoint; fit anew") from error
        return {
            name.removeprefix("network."): weights
            for name, weights in state.items()
            if name.startswith("network.")
        }

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _keep(self, trainer: pl.Trainer, module: pl.LightningModule, measurement: Measurement) -> None:
        # Both at the present price of a bit, which may move in the course of a fit.
        rate_weight = fitted_network(module).rate_weight
        best = weighed_psnr(self.best_psnr, self.best_bpp, rate_weight)
        if measurement.weighed(rate_weight) > best:
            self.best_psnr, self.best_bpp = measurement.psnr, measurement.bpp
            self.best_file, self.best_model_path = self._file, str(self._checkpoint("best"))
            trainer.save_checkpoint(self.best_model_path)
            if trainer.is_global_zero:
                write_bytes(self._file, measurement.encoded.data)
        trainer.save_checkpoint(self._checkpoint("last"))

    def _report(self, trainer: pl.Trainer, module: pl.LightningModule, best: Measurement) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        encode_seconds = self._fit_seconds + self._elapsed()
        size = len(best.encoded.data)
        result = {
            "image": data.name,
            "method": type(module.network).__name__,
            "parameters": fitted_network(module).parameter_count(),
            "rate_weight": fitted_network(module).rate_weight,
            **rate_and_distortion(
                size, data.values, best.reconstruction, data.spec, data.valid, data.points, best.points
            ),
            "encode_seconds": round(encode_seconds, 3),
            "decode_seconds": round(best.decode_seconds, 3),
            "seed": int(os.environ.get("PL_GLOBAL_SEED", 0)),
            "versions": versions(),
        }
        write_bytes(self._file.parent / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                final = {"hp/psnr": result["psnr"], "hp/bpp": result["bpp"]}
                logger.log_hyperparams(dict(module.hparams), final, step=trainer.global_step)
        kind = data.spec.kind
        figures = f"{result['psnr']:.2f} dB at {result['bpp']:.4f} {kind.rate_unit}, {result['bytes']} bytes"
        print(f"{self.title or self._file}: {figures}{kind.said(result)}")


def _best(state: Mapping[str, Any]) -> tuple[float, float]:
    """PSNR and rate of the best file in a state; the worst in one of older versions, without a rate."""
    return (state["best_psnr"], state["best_bpp"]) if "best_bpp" in state else (-math.inf, 0.0)


def _random_state() -> dict[str, torch.Tensor]:
    """State of the generators that networks draw their noise from."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, torch.Tensor]) -> None:
    if "cpu" in state:
        torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["cuda"].cpu())
