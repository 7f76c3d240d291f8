"""Fits on a GPU, with graphs and without: ``python -m benchmarks.gpu.fits [--json PATH]``.

Of each config: milliseconds a step, how far the losses of the first steps differ between both ways, and what
the steps of the whole fit come to, in seconds and in dB before rounding. Validations and the file are left
out; the last line is the whole command, with a file of nearest levels.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from benchmarks.gpu.record import card, keep
from quinr_pl.class_paths import find_class
from quinr_pl.commands.main import main as quinr_pl
from quinr_pl.datamodules import CoordinateDataModule, KodakDataModule, SampleDataModule
from quinr_pl.datamodules.data_root import data_root
from quinr_pl.fitting.cli import read_settings
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import Network

_COMPARED = 200
_REPLAYS = 50
_PROBED = 40
"""Steps of a fit whose graphs are timed."""
_FILE_CALLBACKS = """
trainer:
  callbacks:
    - class_path: quinr_pl.callbacks.WeightQuantization
      init_args: {quantization: {method: nearest, bits: 12}}
    - class_path: quinr_pl.callbacks.PSNRCheckpoint
    - class_path: quinr_pl.callbacks.FitProgress
"""


class Losses(Callback):
    """Keeps the loss of the first steps, and when the steps began and ended.

    Args:
        warm_up: Steps that do not count into the time of one.
    """

    reads_gradients = False

    def __init__(self, warm_up: int) -> None:
        self.losses: list[torch.Tensor] = []
        self.on_device: dict[str, float] = {}
        self._warm_up, self._steps = warm_up, 0

    def on_train_start(self, *_: Any) -> None:
        """Starts the clock."""
        torch.cuda.synchronize()
        self._began = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Keeps a loss."""
        self._steps += 1
        if self._steps <= _COMPARED:
            self.losses.append(outputs["loss"])
        if self._steps == self._warm_up:
            torch.cuda.synchronize()
            self._warm = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: CoordinateNetworkModule) -> None:
        """Stops the clock."""
        torch.cuda.synchronize()
        ended = time.perf_counter()
        self.seconds = ended - self._began
        self.steps = self._steps
        self.milliseconds = 1e3 * (ended - self._warm) / max(1, self._steps - self._warm_up)


class Replays(Callback):
    """Times each graph of a fit by itself, which moves the weights further: of a fit that is thrown away."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: CoordinateNetworkModule) -> None:
        """Replays the first row of the schedule again and again."""
        graphed = pl_module._graphed
        for kind, replay in graphed._graphs.items() if graphed else ():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(_REPLAYS):
                graphed._counter.zero_()
                replay()
            end.record()
            torch.cuda.synchronize()
            self.milliseconds[str(kind[:2])] = round(start.elapsed_time(end) / _REPLAYS, 4)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.fits", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--configs", nargs="+", default=["kodak.yaml", "kodak_latent.yaml"])
    parser.add_argument("--steps", type=int, help="of each fit, in place of those of its config")
    parser.add_argument("--seconds", type=float, default=45.0, help="after which a fit is stopped")
    parser.add_argument("--eager-steps", type=int, default=400, help="of the fits without graphs")
    parser.add_argument("--no-command", action="store_true", help="leave out the whole command")
    options = parser.parse_args()
    logging.getLogger("quinr_pl.module").setLevel(logging.DEBUG)  # tells why steps are not replayed
    logging.basicConfig()
    result: dict[str, Any] = {"machine": card(), "fits": []}
    for config in options.configs:
        for figures in compared(config, options):
            result["fits"].append(figures)
            keep(options.json, result)
            print("  ".join(f"{name} {value}" for name, value in figures.items()), flush=True)
    if options.no_command:
        return
    result["whole_command"] = whole_command(options.configs[0])
    keep(options.json, result)
    print("  ".join(f"{name} {value}" for name, value in result["whole_command"].items()))


def compared(config: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Figures of a config's fit, without graphs and with them."""
    settings = read_settings(["--config", config])
    whole = options.steps or int(settings["trainer"]["max_steps"])
    replays = Replays()
    fitted(settings, _Stop(_PROBED), whole, True, [replays])
    eager, expected = fitted(settings, _Stop(options.eager_steps, options.seconds), whole, False)
    graphed, losses = fitted(settings, _Stop(whole, options.seconds), whole, True)
    graphed["ms_on_device"] = replays.milliseconds
    count = min(len(expected), len(losses))
    differences = (losses[:count] - expected[:count]).abs() / expected[:count].abs()
    graphed["difference_of_losses_20"] = float(differences[:20].max())
    graphed[f"difference_of_losses_{count}"] = float(differences.max())
    return [{"config": config, **eager}, {"config": config, **graphed}]


def fitted(
    settings: dict[str, Any], stop: _Stop, planned: int, graphs: bool, further: Sequence[Callback] = ()
) -> tuple[dict[str, Any], torch.Tensor]:
    """Takes the first of the planned steps of a fit; its figures and first losses."""
    pl.seed_everything(0, verbose=False)
    data = signal(settings)
    arguments = dict(settings["model"])
    description = arguments.pop("network")
    cls = find_class(description["class_path"], Network, "network")
    torch.manual_seed(0)
    network = cls(**{**description["init_args"], **cls.signal_arguments(data.spec)})
    module = CoordinateNetworkModule(network, **{**arguments, "graphs": graphs})
    clock = Losses(min(100, stop.steps // 2))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trainer = pl.Trainer(
            accelerator="gpu",
            devices=1,
            max_steps=planned,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
            callbacks=[clock, stop, *further],
        )
        trainer.fit(module, datamodule=data)
    torch.cuda.synchronize()
    reasons = [str(w.message) for w in said if "graph" in str(w.message)]
    module.network.to("cuda")
    figures = {
        "graphs": graphs,
        "steps": clock.steps,
        "ms_a_step": round(clock.milliseconds, 4),
        "seconds": round(clock.seconds, 3),
        "psnr_float": round(float_psnr(module.network, data), 3),
        **({"reasons": reasons} if reasons else {}),
    }
    return figures, torch.stack(clock.losses).double().cpu()


class _Stop(Callback):
    """Ends a fit early, whose schedule is that of the whole: after so many steps, or so many seconds."""

    def __init__(self, steps: int, seconds: float = math.inf) -> None:
        self.steps, self._seconds = steps, seconds
        self._began = time.perf_counter()

    def on_train_start(self, *_: Any) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stops where it is time."""
        late = time.perf_counter() - self._began > self._seconds
        trainer.should_stop = trainer.global_step >= self.steps or late


def signal(settings: dict[str, Any]) -> CoordinateDataModule:
    """kodim02 where there is data, or else a packaged photograph, cut into blocks as the settings say."""
    blocks = {name: settings["data"]["init_args"][name] for name in ("batch_size", "steps_per_epoch")}
    data: CoordinateDataModule = (
        KodakDataModule("kodim02", **blocks) if data_root(None) else SampleDataModule("coffee", **blocks)
    )
    data.setup()
    return data


@torch.no_grad()
def float_psnr(network: Network, data: CoordinateDataModule) -> float:
    """PSNR of the float weights over the whole signal, in dB."""
    coordinates = data.coordinates.cuda()
    blocks = [coordinates] if network.whole_signal else coordinates.split(data.eval_batch_size)
    values = torch.cat([network(block) for block in blocks]).clamp(0, 1)
    return float(-10 * torch.log10((values - data.targets.cuda()).square().mean()))


def whole_command(config: str) -> dict[str, Any]:
    """Seconds of `quinr-pl fit` with its validations, and a file of nearest levels."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        callbacks = Path(folder) / "callbacks.yaml"
        callbacks.write_text(_FILE_CALLBACKS)
        flags = [
            "--config",
            config,
            "--config",
            str(callbacks),
            "--quantization",
            "{method: nearest, bits: 10}",
        ]
        if data_root(None) is None:
            flags += ["--data", "SampleDataModule", "--data.image", "coffee"]
        began = time.perf_counter()
        status = quinr_pl(["fit", *flags])
        return {"command": f"quinr-pl fit {config}", "status": status, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
