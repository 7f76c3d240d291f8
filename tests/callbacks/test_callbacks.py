from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fits import TINY, quiet_trainer
from processes import COMMAND, completed, started, wait_until
from skimage.metrics import peak_signal_noise_ratio

from quinr_pl.callbacks import (
    BitrateMonitor,
    FitProgress,
    LightningParity,
    PSNRCheckpoint,
    WeightQuantization,
)
from quinr_pl.callbacks.lightning_parity import compare_engines
from quinr_pl.codec import Compensated, decode
from quinr_pl.codec.rounding.aware import QuantizationTraining
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import COIN, LatentQuINR, QuINR
from quinr_pl.signals import RANGE_IMAGE, SignalSpec, image_spec


def fit(folder: Path, callbacks: list, network=None, steps: int = 12, **arguments) -> pl.Trainer:
    torch.manual_seed(0)
    network = network or QuINR(
        qubits=2, angles=4, uploads=1, layers=1, readout="linear", omega0=10.0, weight_init=0.3
    )
    data = SampleDataModule(longer_side=16, batch_size=64, steps_per_epoch=4)
    trainer = quiet_trainer(folder, callbacks, steps, **arguments)
    trainer.fit(CoordinateNetworkModule(network, learning_rate=3e-2), datamodule=data)
    return trainer


def test_validation_measures_the_decoded_file(tmp_path):
    quantization = WeightQuantization()
    trainer = fit(tmp_path, [quantization, BitrateMonitor(), PSNRCheckpoint(), FitProgress()])
    measurement, data = quantization.measurement, trainer.datamodule
    decoded = decode(measurement.encoded.data).reconstruct()
    assert np.array_equal(decoded, measurement.reconstruction)
    expected = peak_signal_noise_ratio(data.values, decoded, data_range=255)
    assert measurement.psnr == pytest.approx(expected, abs=1e-9)
    logged = trainer.callback_metrics
    size = len(measurement.encoded.data)
    assert logged["val/psnr_quantized"] == pytest.approx(expected, abs=1e-4)
    assert logged["rate/bytes"] == size
    assert logged["rate/bpp"] == pytest.approx(8 * size / 256)
    sections = sum(float(value) for name, value in logged.items() if name.startswith("rate/section/"))
    assert sections == size
    parameters = sum(p.numel() for p in trainer.lightning_module.network.parameters())
    assert logged["rate/bpp_16bit"] == pytest.approx(16 * parameters / 256)


def test_the_best_decoded_file_is_kept(tmp_path):
    quantization, checkpoint = WeightQuantization(), PSNRCheckpoint()
    seen: list[float] = []

    class Worse(pl.Callback):
        """Spoils the weights after the second validation."""

        def on_validation_end(self, trainer, pl_module):
            seen.append(quantization.measurement.psnr)

        def on_train_epoch_start(self, trainer, pl_module):
            if len(seen) == 2:
                with torch.no_grad():
                    pl_module.network.readout.bias += 5

    fit(tmp_path, [quantization, checkpoint, Worse(), FitProgress()], steps=12)
    assert max(seen) > seen[2]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["psnr"] == pytest.approx(max(seen), abs=1e-6)
    assert checkpoint.best_model_path == str(tmp_path / "checkpoints" / "best.ckpt")


def test_final_quantization_writes_the_last_file(tmp_path):
    coarse = WeightQuantization(final=Compensated(rate=6.0))
    trainer = fit(tmp_path, [coarse, PSNRCheckpoint(), FitProgress()], network=COIN(layers=2, width=8))
    parameters = trainer.lightning_module.network.parameter_count()
    size = (tmp_path / "astronaut.quinr").stat().st_size
    assert 8 * size / parameters <= 6.0
    assert json.loads((tmp_path / "result.json").read_text())["bytes"] == size


def test_quantization_aware_training_leaves_float_weights_and_uses_its_steps(tmp_path):
    training = QuantizationTraining(start=0.3, hard=0.6, rate=4.0)
    quantization = WeightQuantization(training=training)
    trainer = fit(tmp_path, [quantization, PSNRCheckpoint(), FitProgress()])
    steps = quantization.state_dict()["steps"]
    decoded = decode((tmp_path / "astronaut.quinr").read_bytes())
    for name, tensor in decoded.quantized.tensors.items():
        assert tensor.steps == pytest.approx(steps[name], rel=0.1)
    weights = trainer.lightning_module.network.circuits[0].weight
    multiples = weights / torch.from_numpy(decoded.quantized.tensors["circuits.0.weight"].steps)
    assert not torch.allclose(multiples, multiples.round(), atol=1e-3)


def test_callbacks_ask_for_the_one_they_read():
    trainer = pl.Trainer(accelerator="cpu", logger=False, callbacks=[BitrateMonitor()])
    with pytest.raises(QuinrError, match="BitrateMonitor needs a WeightQuantization"):
        BitrateMonitor().on_validation_epoch_end(trainer, None)


def test_engines_agree_and_a_wrong_one_is_refused(tmp_path):
    spec = image_spec(np.zeros((20, 12, 3), np.uint8))
    for network in (
        QuINR(qubits=2, angles=5, uploads=1, layers=1, stages=2),
        LatentQuINR(height=20, width=12, grids=3, qubits=2, angles=4),
    ):
        differences = compare_engines(network, spec, count=3)
        assert 0 < max(differences.values()) < 1e-5
    strict = LightningParity(coordinates=2, threshold=0.0)
    with pytest.raises(QuinrError, match="lightning"):
        fit(tmp_path, [WeightQuantization(), PSNRCheckpoint(), strict, FitProgress()], steps=1)


def test_pictures_show_images_as_they_are_and_errors_on_a_fixed_scale():
    values = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    spec = image_spec(values)
    assert np.array_equal(spec.picture(values), values)
    same = spec.error_picture(values, values)
    assert np.array_equal(same, np.broadcast_to(same[0, 0], (4, 4, 3)))
    ranges = np.linspace(0, 80, 12, dtype=np.float32).reshape(3, 4, 1)
    shown = SignalSpec(RANGE_IMAGE, (3, 4), 1, 0.0, 80.0).picture(ranges)
    assert shown.shape == (3, 4, 3)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 12


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
FIT = [*COMMAND, "fit", "--config", TINY]


@pytest.mark.slow
def test_an_interrupted_fit_keeps_and_names_the_best_file(tmp_path):
    encoded = tmp_path / "runs/tiny/version_0/astronaut.quinr"
    command = [*FIT, "--trainer.max_steps", "1000000"]
    with started(command, cwd=tmp_path, env=ONE_THREAD) as process:
        wait_until(encoded.is_file, process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "runs/tiny/version_0/astronaut.quinr" in output
    assert "--ckpt_path last" in output
    assert "Traceback" not in output
    assert decode(encoded.read_bytes()).spec.shape[0] == 24
    assert (encoded.parent / "checkpoints" / "last.ckpt").is_file()
    assert not (encoded.parent / "result.json").exists()


@pytest.mark.slow
def test_two_processes_share_one_signal(tmp_path):
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.batch_size", "32"]
    done = completed([*FIT, *two], cwd=tmp_path, env=ONE_THREAD)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "runs/tiny/version_0/result.json").read_text())
    assert (tmp_path / "runs/tiny/version_0/astronaut.quinr").stat().st_size == result["bytes"]
