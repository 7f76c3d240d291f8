"""Fits that begin with the best of several draws of their first weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest
import pytorch_lightning as pl
import torch
from fits import quiet_trainer, small_latents
from torch import Tensor

from quinr_pl.callbacks import BestStart
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import Network, QuINR

STEPS = 9


class _Recorder(pl.Callback):
    """Weights before the first step, and the loss of each step."""

    def __init__(self) -> None:
        self.first: dict[str, Tensor] | None = None
        self.losses: list[float] = []

    def on_train_batch_start(self, trainer, module, *arguments) -> None:
        if self.first is None:
            self.first = weights(module.network)

    def on_train_batch_end(self, trainer, module, outputs, *arguments) -> None:
        self.losses.append(float(outputs["loss"]))


def weights(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def alike(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def latents() -> Network:
    return small_latents(20, 30, 3, rate_weight=1e-3)


def coordinates() -> Network:
    return QuINR(sine_width=8, sine_layers=2, qubits=2, angles=4, uploads=1)


def fit(
    folder: Path,
    make: Callable[[], Network],
    *callbacks: pl.Callback,
    batch_size: int | None = None,
    **resumed,
):
    """Losses and first weights of a short fit."""
    pl.seed_everything(0)
    data = SampleDataModule(image="chelsea", longer_side=30, batch_size=batch_size, steps_per_epoch=3)
    recorder = _Recorder()
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False}
    trainer = quiet_trainer(folder, [*callbacks, recorder], resumed.pop("steps", STEPS), **quiet)
    module = CoordinateNetworkModule(make(), learning_rate=1e-2, optimizer="soap", warmup_steps=3)
    trainer.fit(module, datamodule=data, **resumed)
    trainer.save_checkpoint(folder / "last.ckpt")
    return recorder


class _Chosen(BestStart):
    """Judges draws by a list in place of steps, and keeps them."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__(len(losses), 1)
        self.given, self.draws = iter(losses), []

    def _loss_after(self, steps, trainer, module) -> float:
        self.draws.append(weights(module.network))
        for parameter in module.network.parameters():  # as training would
            parameter.data.add_(1.0)
        return next(self.given)


@pytest.mark.parametrize("network", [latents, coordinates])
def test_a_fit_begins_with_the_best_draw_as_it_was_drawn(network, tmp_path):
    chosen = _Chosen([3.0, math.nan, 1.0, 2.0])
    recorder = fit(tmp_path, network, chosen)
    assert [alike(recorder.first, draw) for draw in chosen.draws] == [False, False, True, False]


@pytest.mark.parametrize("batch_size", [None, 64])
def test_draws_are_trained_as_a_fit_would(batch_size, tmp_path):
    judged = []

    class Judging(BestStart):
        def _loss_after(self, steps, trainer, module) -> float:
            judged.append((weights(module.network), super()._loss_after(steps, trainer, module)))
            return judged[-1][1]

    recorder = fit(tmp_path, coordinates, Judging(4, 6), batch_size=batch_size, steps=96)
    (loss,) = [loss for draw, loss in judged if alike(draw, recorder.first)]
    assert loss == min(loss for _, loss in judged)
    if batch_size is None:  # else other pixels make other losses
        assert loss == pytest.approx(fmean(recorder.losses[4:6]), rel=1e-3)


def test_a_single_draw_leaves_a_fit_as_it_is(tmp_path):
    plain = fit(tmp_path, latents)
    assert fit(tmp_path, latents, BestStart(1, 5)).losses == plain.losses


def test_a_fit_that_goes_on_looks_for_no_start(tmp_path):
    fit(tmp_path, latents, BestStart(2, 2))
    goes_on = _Chosen([1.0, 2.0])
    recorder = fit(tmp_path, latents, goes_on, ckpt_path=tmp_path / "last.ckpt", steps=2 * STEPS)
    assert len(recorder.losses) == STEPS
    assert not goes_on.draws


def test_listeners_hear_of_each_draw(tmp_path):
    heard, best_start = [], BestStart(3, 1)
    best_start.listeners.append(lambda *said: heard.append(said))
    fit(tmp_path, latents, best_start)
    assert heard == [("choosing a start", number, 3) for number in range(3)]


@pytest.mark.parametrize(("numbers", "flag"), [((0, 5), "starts 0"), ((5, -1), "steps -1")])
def test_numbers_below_one_are_refused(numbers, flag):
    with pytest.raises(QuinrError, match=f"--trainer.callbacks.{flag}: must be at least 1"):
        BestStart(*numbers)


def test_looking_takes_at_most_a_quarter_of_a_fit():
    assert [BestStart(8, 40).steps_of_each(total) for total in (5000, 1280, 640, 3)] == [40, 40, 20, 1]
    assert BestStart(1, 40).steps_of_each(5000) == 0
