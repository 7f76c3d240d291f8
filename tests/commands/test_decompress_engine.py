"""One file, decoded by engines that are not exact."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fits import QUICK, TINY
from PIL import Image
from processes import COMMAND, completed

from quinr_pl.codec import decode
from quinr_pl.codec.circuits import with_engine
from quinr_pl.commands.main import main


@pytest.fixture
def file(quick_fit: Path) -> str:
    return str(next(quick_fit.rglob("*.quinr")))


def decompressed(file: str, output: Path, *flags: str) -> np.ndarray:
    assert main(["decompress", file, "-o", str(output), *flags]) == 0
    return np.asarray(Image.open(output)).astype(float)


def test_more_shots_come_nearer_to_the_exact_picture(file, tmp_path, capsys):
    exact = decompressed(file, tmp_path / "exact.png")
    assert not capsys.readouterr().err
    errors = []
    for shots in (100, 10_000, 1_000_000):
        found = decompressed(file, tmp_path / f"{shots}.png", "--engine", f"shots={shots}")
        errors.append(np.abs(found - exact).mean())
        assert f"engine shots ran 576 circuits of {shots:,} shots" in capsys.readouterr().err
    assert errors[0] > 5 * errors[1] > 5 * errors[2]


def test_exact_engines_give_the_decoders_picture(file, tmp_path):
    exact = decompressed(file, tmp_path / "exact.png")
    found = decompressed(file, tmp_path / "torch.png", "--engine", "torch")
    assert np.abs(found - exact).max() <= 1  # float32 rounds here and there to the next level


def test_a_seed_gives_the_same_picture_in_another_process_with_other_threads(file, tmp_path):
    engine = ["--engine", "shots=200,seed=7"]
    expected = decompressed(file, tmp_path / "a.png", *engine)
    command = [*COMMAND, "decompress", file, "-o", str(tmp_path / "b.png"), *engine]
    assert completed(command, env={**os.environ, "OMP_NUM_THREADS": "2"}).returncode == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), expected)
    other = decompressed(file, tmp_path / "c.png", "--engine", "shots=200,seed=8")
    assert (other != expected).any()


def test_the_decoded_file_keeps_its_exact_reconstruction(file):
    decoded = decode(Path(file).read_bytes())
    exact = decoded.reconstruct()
    sampled, engine = with_engine(decoded, {"shots": 10})
    assert (sampled.reconstruct() != exact).any()
    assert engine.circuits == decoded.spec.pixels
    np.testing.assert_array_equal(decoded.reconstruct(), exact)
    assert decoded.network.quantum_layers()[0].engine.name == "auto"


@pytest.mark.parametrize("flags", [["shots=0"], ["colour"], ["cuda"]])
def test_what_cannot_run_is_refused_and_nothing_is_written(file, tmp_path, capsys, flags):
    assert main(["decompress", file, "-o", str(tmp_path / "x.png"), "--engine", *flags]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_engine_runs_on_the_device_that_is_asked_for(file, tmp_path):
    exact = decompressed(file, tmp_path / "exact.png")
    device = ["--device", "cpu" if torch.cuda.is_available() else "auto"]
    found = decompressed(file, tmp_path / "torch.png", "--engine", "torch", *device)
    assert np.abs(found - exact).max() <= 1


@pytest.mark.parametrize("engine", [[], ["--engine", "torch"]])
@pytest.mark.parametrize("device", ["meta", "mps", "cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_one_line_and_nothing_is_written(
    file, tmp_path, capsys, device, engine
):
    assert main(["decompress", file, "-o", str(tmp_path / "x.png"), "--device", device, *engine]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert f"--device {device}: " in line
    assert "give cpu" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ["shots=0", "{shots: 5, colour: 2}", "device=no.such"])
def test_fit_refuses_what_no_engine_is_in_one_line(tmp_path, monkeypatch, capsys, engine):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", TINY, *QUICK, "--model.network.engine", engine]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "engine" in line
    assert not list(tmp_path.iterdir())


def test_fit_takes_the_description_trains_with_it_and_tells_what_it_ran(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Path("shots.yaml").write_text("model: {network: {init_args: {engine: {shots: 1000, seed: 0}}}}\n")
    small = ["--config", TINY, *QUICK, "--config", "shots.yaml", "--trainer.max_steps", "2"]
    assert main(["fit", *small, "--model.network.engine.shots", "50"]) == 0
    kept = yaml.safe_load(Path("runs/tiny/version_0/config.yaml").read_text())
    assert kept["model"]["network"]["init_args"]["engine"] == {"shots": 50, "seed": 0}
    [circuits] = re.findall(r"engine shots ran ([\d,]+) circuits of 50 shots", caplog.text)
    gradients = 2 * 64 * (2 * (10 + 16) + 4 * 4)  # steps, coordinates, terms of RX and RZ, and of CRZ
    assert int(circuits.replace(",", "")) == 2 * 64 + gradients
