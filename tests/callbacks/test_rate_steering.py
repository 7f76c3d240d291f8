"""Fits whose file has the size or the quality asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fits import quiet_trainer, small_latents

from quinr_pl.callbacks import PSNRCheckpoint, RateControl, WeightQuantization, rate_control
from quinr_pl.callbacks.rate_control import steered_part
from quinr_pl.codec import decompress
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import COIN, LatentQuINR, Network
from quinr_pl.network.base import TrainingStage
from quinr_pl.signals import image_spec

STEPS = 160


class _Stop(pl.Callback):
    """Ends a fit after a number of steps, as a kill would: what is kept is what was kept before."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, *arguments) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("stopped")


def latents(rate_weight: float) -> Network:
    torch.manual_seed(0)
    training = {"coarse_steps": (0.1, 0.2), "latent_learning_rate": 10.0}
    return small_latents(47, 70, 5, rate_weight=rate_weight, **training)


def fit(folder: Path, network: Network, control: RateControl, *callbacks: pl.Callback) -> Path:
    pl.seed_everything(0)
    batch_size = None if network.whole_signal else 512
    data = SampleDataModule(image="chelsea", longer_side=70, batch_size=batch_size, steps_per_epoch=80)
    last = folder / "checkpoints" / "last.ckpt"
    quantization = WeightQuantization(final={"method": "searched"})
    trainer = quiet_trainer(folder, [quantization, control, PSNRCheckpoint(), *callbacks], STEPS)
    module = CoordinateNetworkModule(network, learning_rate=1e-2)
    trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.is_file() else None)
    return folder / "chelsea.quinr"


@pytest.mark.parametrize("rate_weight", [5e-4, 2e-2])
def test_a_size_is_reached_from_either_side(tmp_path, rate_weight):
    network = latents(rate_weight)
    size = fit(tmp_path, network, RateControl(bpp=1.5)).stat().st_size
    most = 1.5 * 47 * 70 / 8
    assert 0.97 * most <= size <= most
    assert (network.rate_weight > rate_weight) == (rate_weight < 5e-3)


def test_a_quality_is_reached(tmp_path):
    data = fit(tmp_path, latents(5e-3), RateControl(psnr=24.0)).read_bytes()
    sample = SampleDataModule(image="chelsea", longer_side=70)
    sample.setup()
    error = np.mean((decompress(data).astype(float) - sample.values) ** 2)
    assert 24.0 <= 10 * np.log10(255**2 / error) <= 24.1


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_to_the_same_bytes(tmp_path):
    whole = fit(tmp_path / "whole", latents(2e-3), RateControl(most_bytes=700)).read_bytes()
    with pytest.raises(RuntimeError, match="stopped"):
        fit(tmp_path / "parts", latents(2e-3), RateControl(most_bytes=700), _Stop(120))
    assert fit(tmp_path / "parts", latents(2e-3), RateControl(most_bytes=700)).read_bytes() == whole


def test_it_steers_where_all_latents_take_part_and_move():
    network = latents(1e-3)
    begin, end, tiles = steered_part(network)
    assert begin == pytest.approx(0.3)
    assert network.progress(end) == pytest.approx(1 - network.hard_share)
    assert tiles == 1
    coarse = LatentQuINR(finest=1, coarse_steps=(0.1, 0.2))
    assert steered_part(coarse)[0] == pytest.approx(0.1)
    assert steered_part(COIN(layers=1, width=4)) == (0.0, 1.0, 1)
    tiled = LatentQuINR(height=256, width=256, coarse_steps=(0.1, 0.2), step_pixels=1 << 14)
    assert steered_part(tiled)[2] == 4


class _Latents:
    """Stands in for a network in training: its bits come to λ^-0.5 by half within some steps."""

    def __init__(self, halving: float) -> None:
        self.rate_weight, self.halving, self.step, self.bits = 1e-3, halving, 0, 4000.0

    def train_until(self, step: int) -> None:
        followed = 1 - 0.5 ** ((step - self.step) / self.halving)
        self.bits *= (4000 * (self.rate_weight / 1e-3) ** -0.5 / self.bits) ** followed
        self.step = step

    def integer_bits(self) -> float:
        return self.bits

    def training_stages(self) -> list[TrainingStage]:
        return [TrainingStage(0.2, False), TrainingStage(0.8)]

    def parameter_count(self) -> int:
        return 0


@pytest.mark.parametrize("steps", [1_000, 3_000, 40_000])
@pytest.mark.parametrize("halving", [3.0, 30.0, 100.0])
def test_lambda_settles_however_long_a_fit_is(monkeypatch, steps, halving):
    monkeypatch.setattr(rate_control, "fitted_network", lambda module: module.network)
    network = _Latents(halving)
    module = SimpleNamespace(network=network, log=lambda *logged: None)
    spec = image_spec(np.zeros((16, 16, 3), np.uint8))
    trainer = SimpleNamespace(
        estimated_stepping_batches=steps, datamodule=SimpleNamespace(spec=spec), global_step=0
    )
    control = RateControl(most_bytes=400)
    control.load_state_dict({"rate_weight": 1e-3, "level": 1e-3})
    weights = []
    for trainer.global_step in range(1, steps):
        network.train_until(trainer.global_step)
        control.on_train_batch_start(trainer, module, None, 0)
        weights.append(network.rate_weight)
    late = weights[-steps // 3 :]
    assert max(late) < 1.5 * min(late), "it neither swings nor drifts"
    assert network.bits / 8 == pytest.approx(400 - 32, rel=0.05), "of 400 bytes 32 are the header"


def test_a_network_that_does_not_weigh_its_rate_is_refused(tmp_path):
    with pytest.raises(QuinrError, match="COIN has no rate_weight"):
        fit(tmp_path, COIN(layers=1, width=4), RateControl(bpp=1.0))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "RateControl with nothing asked for: give one of bpp, most_bytes, psnr"),
        ({"bpp": 1.0, "psnr": 30.0}, "RateControl with bpp and psnr: give one of"),
        ({"bpp": 0.0}, "--trainer.callbacks.bpp 0.0: must be a positive number"),
        ({"psnr": -1.0}, "--trainer.callbacks.psnr -1.0: must be a positive number"),
    ],
)
def test_one_target_is_asked_for(asked, told):
    with pytest.raises(QuinrError, match=told):
        RateControl(**asked)
