"""An engine of somebody else's goes through every command without a change in the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.commands.main import main
from quinr_pl.datamodules import SampleDataModule

CONF = Path(__file__).parents[1] / "conf"
SMALL_FIT = ["--config", str(CONF / "tiny.yaml"), "--trainer.max_steps", "4"]
QUICK = ["--config", str(CONF / "quick_callbacks.yaml")]


class NoisyEngine(Engine):
    """Exact probabilities mixed with the uniform distribution, as depolarizing noise does.

    Args:
        noise: Share of the uniform distribution.
        seed: Taken and kept.
    """

    name = "noisy"
    exact = False
    calls: list[tuple[float, bool]] = []  # noqa: RUF012 - all instances write into one list

    def __init__(self, noise: float = 0.1, seed: int = 0) -> None:
        self.noise, self.seed = noise, seed

    def probabilities(self, ansatz, angles, weights, states=None):
        self.calls.append((self.noise, torch.is_grad_enabled()))
        measured = check(ansatz, angles, weights, states)
        exact = choose("auto", angles.device).probabilities(ansatz, angles, weights, measured)
        return (1 - self.noise) * exact + self.noise / ansatz.states


ENGINE = {"class_path": f"{__name__}.NoisyEngine", "init_args": {"noise": 0.2, "seed": 3}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run happens in a folder of its own, with a config that names the engine."""
    monkeypatch.chdir(tmp_path)
    network = {"init_args": {"engine": ENGINE}}
    Path("noisy.yaml").write_text(yaml.safe_dump({"model": {"network": network}}))
    NoisyEngine.calls.clear()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def test_fit_trains_validates_and_rounds_with_it_and_reports_the_exact_decoder(caplog):
    assert main(["fit", *SMALL_FIT, "--config", "noisy.yaml"]) == 0
    assert "engine noisy is not exact" in caplog.text
    assert {noise for noise, _ in NoisyEngine.calls} == {0.2}
    assert {grad for _, grad in NoisyEngine.calls} == {True, False}
    run = Path("runs/tiny/version_0")
    kept = yaml.safe_load((run / "config.yaml").read_text())
    assert kept["model"]["network"]["init_args"]["engine"] == ENGINE
    NoisyEngine.calls.clear()
    assert main(["decompress", str(run / "astronaut.quinr"), "-o", "back.png"]) == 0
    assert not NoisyEngine.calls
    data = SampleDataModule(longer_side=24)
    data.setup()
    reported = json.loads((run / "result.json").read_text())["psnr"]
    assert psnr(np.asarray(Image.open("back.png")), data.values) == pytest.approx(reported, abs=1e-9)


def test_a_run_is_continued_and_its_checkpoint_serves_any_engine():
    fit = ["fit", *SMALL_FIT, *QUICK]
    assert main([*fit, "--config", "noisy.yaml"]) == 0
    kept = ["--config", "runs/tiny/version_0/config.yaml", "--ckpt_path", "last"]
    assert main(["fit", *kept, "--trainer.max_steps", "6"]) == 0
    assert main(["test", *kept, "--model.network.engine", "torch"]) == 0


def test_compress_takes_it_by_flags():
    Image.fromarray((np.arange(15 * 20) % 256).astype(np.uint8).reshape(15, 20)).save("in.png")
    flags = ["--model.network.engine", ENGINE["class_path"], "--model.network.engine.noise", "0.3"]
    assert main(["compress", "in.png", "-o", "out.quinr", *SMALL_FIT, *QUICK, *flags]) == 0
    assert {noise for noise, _ in NoisyEngine.calls} == {0.3}
    assert main(["decompress", "out.quinr", "-o", "back.png"]) == 0
    assert np.asarray(Image.open("back.png")).shape == (15, 20)


def test_comparisons_find_it_by_its_import_path():
    tiny, quick = (
        yaml.safe_load((CONF / f"{name}.yaml").read_text()) for name in ("tiny", "quick_callbacks")
    )
    fit = {
        "model": tiny["model"],
        "trainer": {"max_steps": 2, **quick["trainer"]},
        "data": {"init_args": {"batch_size": 64, "steps_per_epoch": 2}},
    }
    points = {
        name: {"model": {"network": {"init_args": {"engine": engine}}}}
        for name, engine in (("exact", "cpu"), ("noisy", ENGINE))
    }
    comparison = {
        "folder": "runs",
        "processes": 1,
        "data": {"class_path": "SampleDataModule", "init_args": {"longer_side": 16}},
        "images": [{"image": "coffee"}],
        "methods": {"quINR": {"kind": "fit", "base": "sample.yaml", "fit": fit, "points": points}},
    }
    Path("compare.yaml").write_text(yaml.safe_dump(comparison))
    assert main(["compare", "--config", "compare.yaml"]) == 0
    exact, noisy = (path.read_bytes() for path in Path("runs").rglob("*.quinr"))
    assert exact != noisy


def test_options_that_it_does_not_have_are_refused_in_one_line(capsys):
    flags = ["--model.network.engine", ENGINE["class_path"], "--model.network.engine.colour", "3"]
    assert main(["fit", *SMALL_FIT, *flags]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "colour" in error[0]
