"""Fits whose grids are enlarged when the resolution rises."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from fits import quiet_trainer

from quinr_pl.callbacks import BestStart
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import LatentQuINR
from quinr_pl.signals import coordinates

STEPS = 24  # a quarter of them at each of the reduced resolutions


def network(enlargements: int = 2, **others) -> LatentQuINR:
    torch.manual_seed(0)
    sizes = {"height": 40, "width": 48, "finest": 0, "grids": 5, "qubits": 2, "angles": 4, "uploads": 1}
    settings = {"coarse_steps": (0.25, 0.25), "rate_weight": 1e-3, "latent_learning_rate": 10.0}
    return LatentQuINR(**{**sizes, **settings, "enlargements": enlargements, **others})


def fit(folder, steps=STEPS, total=STEPS, checkpoint=None, callbacks=(), **others) -> LatentQuINR:
    pl.seed_everything(0)
    module = CoordinateNetworkModule(network(**others), 1e-2, "soap", weight_decay=0.1)
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False}
    trainer = quiet_trainer(folder, [_End(steps), *callbacks], total, **quiet)
    data = SampleDataModule(image="chelsea", longer_side=48, batch_size=None, steps_per_epoch=1)
    data.setup()
    size = data.spec.shape
    assert size == (32, 48)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / "last.ckpt")
    return module.network


class _End(pl.Callback):
    """Ends a fit after a number of steps, the noise of each of which is that of its number."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, *arguments) -> None:
        torch.manual_seed(trainer.global_step)

    def on_train_batch_end(self, trainer, *arguments) -> None:
        trainer.should_stop = trainer.global_step >= self.step


def picture(network: LatentQuINR) -> torch.Tensor:
    """With the latents as they are, not rounded: (channels, rows, columns)."""
    with torch.no_grad():
        return network._render(list(network.pyramid.grids), 0)


@pytest.mark.parametrize("upsampling", ["shared", "own"])
@pytest.mark.parametrize("synthesis", ["circuit", "relu"])
@pytest.mark.parametrize("enlargements", [1, 2])
def test_an_enlargement_leaves_the_picture_as_it_is(enlargements, synthesis, upsampling):
    one = network(enlargements, synthesis=synthesis, filters=1, upsampling=upsampling)
    for module in one.filters:
        torch.nn.init.normal_(module.weight, std=0.1)
    with torch.no_grad():
        one.context.grid.bias.copy_(torch.arange(5.0))
        taps = one.pyramid.interpolation.weight
        taps.copy_(torch.tensor([-0.05, 0.35, 0.75, -0.05]) + 0.03 * torch.randn_like(taps))
        for grid in one.pyramid.grids[2:]:
            grid.normal_(std=2.0)
    before = picture(one)
    latents = [grid.detach().clone() for grid in one.pyramid.grids]
    moved = 0
    for step, octave in enumerate([2, 2, 1, 1, 0, 0, 0, 0]):
        moved += bool(one.begin_step(step, one.progress(step / 8)))
        assert moved == min(2 - octave, enlargements)
        torch.testing.assert_close(picture(one), before, rtol=0, atol=1e-5)
    assert before.std() > 0.1
    lowest = 2 - enlargements
    for level, grid in enumerate(one.pyramid.grids):
        filled = lowest <= level < 5 - enlargements
        assert bool(grid.any()) is filled, level
        if filled:  # every other latent lies a quarter of a step away from one that was there before
            twice = torch.nn.functional.interpolate(
                latents[level + enlargements][None, None], grid.shape, mode="nearest"
            )[0, 0]
            assert torch.corrcoef(torch.stack([twice.flatten(), grid.flatten()]))[0, 1] > 0.6
    # The numbers of the grids went with them; what has not joined yet comes last.
    expected = [(place + enlargements) % 5 for place in range(5)]
    assert one.context.grid.bias.tolist() == expected


def test_the_finest_grid_of_each_stage_has_the_largest_weights_at_first():
    plain, enlarged = network(0), network(2)
    assert plain.skip.weight.mean(0).argmax() == 0
    assert enlarged.skip.weight.mean(0).argmax() == 2
    torch.testing.assert_close(enlarged.skip.weight.roll(-2, 1), plain.skip.weight)
    torch.testing.assert_close(enlarged.drawn_anew().skip.weight.mean(0).argmax(), torch.tensor(2))


def test_a_bit_costs_as_much_of_the_small_picture_as_of_the_whole():
    one = network(2)
    shares = [one.progress(share) for share in (0.1, 0.3, 0.7)]
    costs = [40 * 48 * one.schedule(share)[0] for share in shares]
    assert costs == pytest.approx([16e-3, 4e-3, 1e-3])
    plain = network(0)
    assert [40 * 48 * plain.schedule(share)[0] for share in shares] == pytest.approx([1e-3] * 3)


@pytest.mark.parametrize("stop", [3, 6, 9, 12, 15])
def test_an_interrupted_fit_goes_on_to_the_same_weights(tmp_path, stop):
    whole = fit(tmp_path / "whole", height=32)
    fit(tmp_path / "part", stop, height=32)
    goes_on = fit(tmp_path / "rest", checkpoint=tmp_path / "part" / "last.ckpt", height=32)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, goes_on.state_dict()[name]), name


def test_a_longer_fit_does_not_enlarge_again(tmp_path):
    fit(tmp_path / "whole", height=32)
    longer = fit(tmp_path / "longer", 100, 100, checkpoint=tmp_path / "whole" / "last.ckpt", height=32)
    assert longer.training_state() == {"enlarged": 2}
    assert longer.pyramid.grids[0].any()


def test_a_choice_of_starts_leaves_the_enlargements_to_the_fit(tmp_path):
    # A quarter of the steps for three draws: all of them go beyond the first resolution.
    shares = {"coarse_steps": (0.02, 0.02), "height": 32}
    chosen = fit(tmp_path, 60, 60, callbacks=[BestStart(3, 5)], **shares)
    assert chosen.training_state() == {"enlarged": 2}


def test_a_frame_that_is_told_by_another_keeps_that_ones_order():
    first, second = network(2), network(2)
    for step in range(8):
        first.begin_step(step, first.progress(step / 8))
    values = {name: value.detach().numpy() for name, value in first.state_dict().items()}
    second.follow(values)
    for step in range(8):
        assert not second.begin_step(step, second.progress(step / 8))
    torch.testing.assert_close(second.skip.weight, first.skip.weight)
    for progress in (0.0, 0.1, 0.3, 0.8):
        assert second.schedule(progress) == network(0).schedule(progress)


def test_tiles_are_enlarged_too():
    one = network(2, height=128, width=128, step_pixels=1 << 12)
    targets = torch.rand(128 * 128, 3)
    module = CoordinateNetworkModule(one, 1e-2, "soap")
    optimizer = module.make_optimizer()
    for step in range(STEPS):
        progress = module.begin_step(optimizer, step, STEPS)
        optimizer.zero_grad()
        one.loss(coordinates((128, 128)), targets, progress)[0].backward()
        optimizer.step()
    assert all(bool(grid.any()) for grid in one.pyramid.grids[:3])
