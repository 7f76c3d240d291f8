from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from skimage.metrics import peak_signal_noise_ratio

from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import COIN, LatentQuINR, QuINR


def trainer(folder, **arguments) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **arguments,
    )


@pytest.fixture
def data() -> SampleDataModule:
    return SampleDataModule(longer_side=16, batch_size=64, steps_per_epoch=4)


def small(**arguments) -> CoordinateNetworkModule:
    torch.manual_seed(0)
    network = QuINR(qubits=2, angles=4, uploads=1, layers=1, readout="linear", omega0=10.0, weight_init=0.3)
    return CoordinateNetworkModule(network, **arguments)


def test_fit_lowers_the_error_and_validation_psnr_is_scikit_images(tmp_path, data):
    module = small(learning_rate=3e-2)
    data.setup()

    def psnr() -> float:
        decoded = module.network.evaluate(data.coordinates).clamp(0, 1).numpy()
        return peak_signal_noise_ratio(data.targets.numpy(), decoded, data_range=1.0)

    before = psnr()
    runner = trainer(tmp_path, max_steps=40)
    runner.fit(module, datamodule=data)
    assert psnr() > before + 1
    measured = runner.validate(module, datamodule=data, verbose=False)[0]["val/psnr"]
    assert measured == pytest.approx(psnr(), abs=1e-3)


def test_a_checkpoint_loads_with_no_further_arguments(tmp_path, data):
    for module in (small(), CoordinateNetworkModule(COIN(layers=2, width=5), learning_rate=1e-3)):
        runner = trainer(tmp_path, max_steps=2)
        runner.fit(module, datamodule=data)
        path = tmp_path / "state.ckpt"
        runner.save_checkpoint(path)
        loaded = CoordinateNetworkModule.load_from_checkpoint(path, weights_only=True)
        assert type(loaded.network) is type(module.network)
        assert loaded.hparams == module.hparams
        points = data.coordinates[:5]
        assert torch.equal(loaded(points), module(points))


@pytest.mark.parametrize(
    ("network", "decayed"),
    [
        (QuINR(qubits=2, angles=4, stages=2, readout="linear"), {"embeddings.1.weight", "readout.weight"}),
        (
            QuINR(qubits=2, angles=4, sine_layers=2, sine_width=3),
            {"sine_layers.1.weight", "embeddings.0.weight"},
        ),
        (QuINR(qubits=2, angles=4), set()),
        (COIN(layers=2, width=5), {"hidden.1.weight", "output.weight"}),
    ],
)
# SOAP's first step only looks at the gradient.
@pytest.mark.parametrize(("optimizer", "steps", "atol"), [("adam", 1, 2e-6), ("soap", 2, 1e-5)])
def test_weight_decay_shrinks_weights_of_hidden_features_alone(
    tmp_path, data, network, decayed, optimizer, steps, atol
):
    network = copy.deepcopy(network)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    # So small a rate that only the decay is seen.
    module = CoordinateNetworkModule(
        network, learning_rate=1e-6, weight_decay=1e5, optimizer=optimizer, schedule="constant"
    )
    trainer(tmp_path, max_steps=steps).fit(module, datamodule=data)
    for name, parameter in network.named_parameters():
        factor = 0.9 if name in decayed else 1.0
        assert torch.allclose(parameter, factor * before[name], atol=atol), name


@pytest.mark.parametrize("optimizer", ["adam", "soap"])
def test_frozen_parameters_stay_as_they_were_drawn(tmp_path, data, optimizer):
    module = small(optimizer=optimizer, frozen=["circuits"])
    before = {name: parameter.detach().clone() for name, parameter in module.network.named_parameters()}
    trainer(tmp_path, max_steps=3).fit(module, datamodule=data)
    stayed = {name for name, value in module.network.named_parameters() if torch.equal(value, before[name])}
    assert stayed == {"circuits.0.weight"}
    with pytest.raises(
        QuinrError, match=r"^--model\.frozen rotations: no .* choose from embeddings, circuits, readout$"
    ):
        small(frozen=["rotations"])


def test_soap_takes_latents_one_by_one(tmp_path):
    network = LatentQuINR(height=16, width=16, grids=3, rate_weight=1e-3)
    data = SampleDataModule(longer_side=16, batch_size=None, steps_per_epoch=4)
    module = CoordinateNetworkModule(network, 1e-3, "soap", schedule="constant")
    trainer(tmp_path, max_steps=2).fit(module, datamodule=data)
    # Alone, an element's first step has the length of the learning rate, whatever its gradient.
    step = 1e-3 * network.latent_learning_rate
    coarsest = network.pyramid.grids[-1].detach()
    torch.testing.assert_close(coarsest.abs(), torch.full_like(coarsest, step), rtol=1e-3, atol=0)


def test_steps_that_never_see_parts_of_a_signal_are_told(tmp_path, caplog):
    data = SampleDataModule(longer_side=64, batch_size=None, steps_per_epoch=4)
    data.setup("fit")
    height, width = data.spec.shape
    sizes = {"height": height, "width": width, "finest": 0, "grids": 4, "step_pixels": 600}
    module = CoordinateNetworkModule(LatentQuINR(**sizes, coarse_steps=(0.2, 0.3), hard_share=0.0))
    tiles = max(stage.tiles for stage in module.network.training_stages())
    assert tiles > 3
    said = f"--trainer.max_steps 4: too few to look at all of the signal once.*; give {2 * tiles} or more"
    with caplog.at_level("INFO"):
        trainer(tmp_path, max_steps=4).fit(module, datamodule=data)
        assert re.search(said, caplog.text)
        caplog.clear()
        trainer(tmp_path, max_steps=2 * tiles).fit(module, datamodule=data)
        assert "max_steps" not in caplog.text.replace("`max_steps=", "")


def test_latents_may_be_rounded_for_good_at_all_of_the_full_resolution(tmp_path):
    sizes = {"height": 16, "width": 16, "finest": 0, "grids": 3}
    network = LatentQuINR(**sizes, coarse_steps=(0.4, 0.4), hard_share=0.95)
    data = SampleDataModule(longer_side=16, batch_size=None, steps_per_epoch=4)
    trainer(tmp_path, max_steps=4).fit(CoordinateNetworkModule(network), datamodule=data)
    assert all(torch.isfinite(weight).all() for weight in network.weights().values())


@pytest.mark.parametrize("optimizer", ["adam", "soap"])
def test_a_continued_fit_is_that_of_one_go(tmp_path, optimizer):
    def fitted(name: str, steps: int, checkpoint=None) -> CoordinateNetworkModule:
        module = small(learning_rate=1e-2, optimizer=optimizer, schedule="constant")
        runner = trainer(tmp_path, max_steps=steps)
        data = SampleDataModule(longer_side=16, batch_size=None, steps_per_epoch=4)
        runner.fit(module, datamodule=data, ckpt_path=checkpoint)
        runner.save_checkpoint(tmp_path / name)
        return module

    whole = fitted("whole.ckpt", 24)  # two of SOAP's bases
    fitted("half.ckpt", 12)
    continued = fitted("continued.ckpt", 24, tmp_path / "half.ckpt")
    for name, parameter in whole.network.named_parameters():
        assert torch.equal(continued.network.get_parameter(name), parameter), name


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    module = small(learning_rate=1.0, warmup_steps=10, final_learning_rate=0.1)
    rates = [module.learning_rate_factor(step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert np.all(np.diff(rates[10:]) < 0)
    constant = small(schedule="constant")
    assert constant.learning_rate_factor(77, 110) == 1.0


def test_channels_that_do_not_fit_are_named(tmp_path, data):
    network = QuINR(qubits=2, angles=2, out_features=1)
    with pytest.raises(QuinrError, match=r"out_features 1: the signal has 3 channel"):
        trainer(tmp_path, max_steps=1).fit(CoordinateNetworkModule(network), datamodule=data)


def test_learning_rate_must_be_positive():
    with pytest.raises(QuinrError, match="learning_rate"):
        small(learning_rate=0.0)


class _AtStep(pl.Callback):
    """Weights after a number of steps."""

    def __init__(self, step: int) -> None:
        self.step, self.found = step, {}

    def on_train_batch_end(self, trainer, module, *arguments) -> None:
        if trainer.global_step == self.step:
            self.found = {name: value.clone() for name, value in module.network.state_dict().items()}


def test_a_grid_joins_with_the_weights_that_were_drawn_for_it(tmp_path):
    network = LatentQuINR(height=16, width=16, finest=0, grids=3, rate_weight=1e-3, coarse_steps=[0.9])
    drawn = {name: value.clone() for name, value in network.state_dict().items()}
    data = SampleDataModule(longer_side=16, batch_size=None, steps_per_epoch=20)
    module = CoordinateNetworkModule(network, 1e-3, "soap", weight_decay=50.0, schedule="constant")
    before_it_joins = _AtStep(18)
    trainer(tmp_path, max_steps=20, callbacks=[before_it_joins]).fit(module, datamodule=data)
    for name in ("skip.weight", "synthesis.embedding.weight"):
        now = before_it_joins.found[name]
        # But for what turning into an eigenbasis and back rounds; shrunk they would be 0.42 times as large.
        torch.testing.assert_close(now[:, 0], drawn[name][:, 0], rtol=1e-2, atol=1e-4, msg=name)
        assert not torch.allclose(now[:, 1], drawn[name][:, 1], rtol=1e-2, atol=1e-4), name
