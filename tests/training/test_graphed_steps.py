from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from recording import Recording

from quinr_pl.callbacks import WeightQuantization
from quinr_pl.codec.rounding.aware import QuantizationTraining
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import LatentQuINR, QuINR
from quinr_pl.ops import adam
from quinr_pl.training import replayed_module
from quinr_pl.training.graphable import reason_against_graphs


class Losses(pl.Callback):
    """Keeps what every step returns, and which hooks are called."""

    reads_gradients = False

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.hooks: list[str] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, *_):
        self.losses.append(float(outputs["loss"]))

    def on_before_zero_grad(self, *_):
        self.hooks.append("zero_grad")

    def on_before_backward(self, *_):
        self.hooks.append("backward")

    def on_before_optimizer_step(self, *_):
        self.hooks.append("step")


@pytest.fixture
def recordings(monkeypatch) -> list[Recording]:
    """Fits record their steps, as on a GPU; the recorders that they made."""
    made: list[Recording] = []

    def recorder() -> Recording:
        made.append(Recording())
        return made[-1]

    monkeypatch.setattr(replayed_module, "reason_against_graphs", lambda *_: "")
    monkeypatch.setattr(replayed_module, "CudaRecorder", recorder)
    # As on a GPU, where Adam's steps are operations of torch, which can be recorded.
    monkeypatch.setattr(adam, "_BY_DEVICE", {})
    return made


def small() -> QuINR:
    # In torch operations the circuit can be recorded.
    options = {"features": "own", "readout": "linear", "sine_layers": 2, "omega0": 10.0, "engine": "torch"}
    return QuINR(qubits=2, angles=4, uploads=2, **options)


def fitted(folder, steps, checkpoint=None, graphs=True, batch_size=64, network=None, **options):
    torch.manual_seed(0)
    network = network or small()
    options = {"learning_rate": 1e-3, "warmup_steps": 3, "weight_decay": 0.3, **options}
    fit = CoordinateNetworkModule(network, graphs=graphs, **options)
    losses = Losses()
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_steps=steps,
        callbacks=[losses],
    )
    data = SampleDataModule(longer_side=16, batch_size=batch_size, steps_per_epoch=5)
    trainer.fit(fit, datamodule=data, ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / "state.ckpt")
    return fit, losses


@pytest.mark.parametrize("optimizer", ["adam", "soap"])
def test_replayed_steps_are_those_that_python_takes(tmp_path, recordings, optimizer):
    replayed, losses = fitted(tmp_path, 33, optimizer=optimizer)
    assert recordings[0].replays > 20
    taken, expected = fitted(tmp_path, 33, optimizer=optimizer, graphs=False)
    assert len(recordings) == 1
    assert losses.losses == pytest.approx(expected.losses, rel=1e-4)
    assert losses.hooks == expected.hooks
    for one, other in zip(replayed.parameters(), taken.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "soap"])
@pytest.mark.parametrize("first", [True, False])
def test_fits_go_on_with_and_without_graphs(tmp_path, recordings, optimizer, first):
    options = {"optimizer": optimizer, "schedule": "constant", "batch_size": None}
    fitted(tmp_path, 15, graphs=first, **options)
    _, rest = fitted(tmp_path, 30, tmp_path / "state.ckpt", graphs=not first, **options)
    _, whole = fitted(tmp_path, 30, graphs=False, **options)
    assert rest.losses == pytest.approx(whole.losses[15:], rel=1e-4)


@pytest.mark.parametrize("enlargements", [0, 2])
def test_latents_take_their_numbers_from_the_schedule(tmp_path, recordings, monkeypatch, enlargements):
    # Their kernels for the CPU are no operations of torch: what is recorded is run by Python again.
    monkeypatch.setattr(Recording, "record", lambda _, function: function)

    def latent():
        torch.manual_seed(0)
        sizes = {"height": 16, "width": 16, "finest": 0, "grids": 4, "qubits": 2, "angles": 4}
        own = "own" if enlargements else "shared"
        return LatentQuINR(
            **sizes, hard_share=0.2, context_layers=2, enlargements=enlargements, upsampling=own
        )

    def steered(losses, trainer, module, outputs, *_):
        if trainer.global_step == 20:
            module.network.rate_weight *= 1000
        losses.losses.append(float(outputs["loss"]))

    monkeypatch.setattr(Losses, "on_train_batch_end", steered)
    options = {"optimizer": "soap", "batch_size": None, "precondition_frequency": 1}
    _, losses = fitted(tmp_path, 60, network=latent(), **options)
    _, expected = fitted(tmp_path, 60, network=latent(), graphs=False, **options)
    assert losses.losses == pytest.approx(expected.losses, rel=1e-3)
    assert losses.losses[20] > 2 * losses.losses[19]


def test_a_recording_that_fails_leaves_the_steps_to_python(tmp_path, recordings, monkeypatch):
    def refused(*_):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(Recording, "record", refused)
    with pytest.warns(
        UserWarning, match="not replayed from graphs: operation not permitted when stream is capt"
    ):
        _, losses = fitted(tmp_path, 12, optimizer="soap")
    _, expected = fitted(tmp_path, 12, optimizer="soap", graphs=False)
    assert losses.losses == pytest.approx(expected.losses, rel=1e-4)


def against(trainer, module) -> str:
    return reason_against_graphs(trainer, module, module.network)


def test_who_reads_gradients_keeps_steps_from_being_replayed(tmp_path, monkeypatch):
    module, _ = fitted(tmp_path, 1)
    trainer = module.trainer
    assert "CUDA" in against(trainer, module)
    monkeypatch.setattr(type(trainer.strategy), "root_device", torch.device("cuda"))
    assert against(trainer, module) == ""
    trainer.callbacks.append(WeightQuantization())
    assert against(trainer, module) == ""
    trainer.callbacks.append(WeightQuantization(training=QuantizationTraining()))
    assert "WeightQuantization" in against(trainer, module)
    trainer.callbacks.pop()
    handle = module.network.readout.register_forward_hook(lambda *_: None)
    assert "hooks" in against(trainer, module)
    handle.remove()
    trainer.accumulate_grad_batches = 2
    assert "accumulated" in against(trainer, module)
