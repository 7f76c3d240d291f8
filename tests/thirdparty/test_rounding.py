"""A way of rounding of somebody else's goes through the commands without a change in the package."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from quinr_pl.codec import QuantizedNetwork, decode, decompress
from quinr_pl.codec.quantized import QuantizedTensor, smallest_code, step_size
from quinr_pl.codec.rounding import ROUNDINGS, Rounding, untold
from quinr_pl.codec.rounding.levels import reduced_parameters, rounded_integers
from quinr_pl.commands.main import main
from quinr_pl.errors import QuinrError
from quinr_pl.network.base import layers

CONF = Path(__file__).parents[1] / "conf"
TINY = ["--config", str(CONF / "tiny.yaml"), "--trainer.max_steps", "4"]


@dataclass(frozen=True)
class Stochastic(Rounding):
    """Each weight up or down at random, so that its mean is right.

    Args:
        bits: Of the largest level of a layer, without its sign.
        seed: Of the draws.
    """

    method: ClassVar[str] = "stochastic"

    bits: int = 8
    seed: int = 0

    def __post_init__(self):
        if not 1 <= self.bits <= 14:
            raise QuinrError(f"bits {self.bits}: must lie between 1 and 14")

    def check(self, network):
        if network.fixed_point_layers:
            raise QuinrError(f"quantization method stochastic: not for {type(network).__name__}")

    def quantize(self, network, spec, targets=None, progress=untold):
        generator = np.random.default_rng(self.seed)
        values, tensors = reduced_parameters(network), {}
        for names in layers(values).values():
            code = smallest_code(max(float(values[name].abs().max()) for name in names) / 2**self.bits)
            for name in names:
                scaled = values[name].double().numpy() / step_size(code)
                levels = np.floor(scaled + generator.random(scaled.shape)).astype(np.int64)
                tensors[name] = QuantizedTensor.of_one_step(levels, code)
        return QuantizedNetwork(network, tensors, rounded_integers(network))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ROUNDINGS.register(Stochastic.method, Stochastic)


def config_of(**options) -> list[str]:
    """Flags of a config whose file is rounded so."""
    quantizer = {"class_path": "quinr_pl.callbacks.WeightQuantization", "init_args": {"final": options}}
    others = [{"class_path": f"quinr_pl.callbacks.{name}"} for name in ("PSNRCheckpoint", "FitProgress")]
    Path("stochastic.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": [quantizer, *others]}}))
    return ["--config", "stochastic.yaml"]


def test_the_file_of_a_fit_is_rounded_by_it():
    assert main(["fit", *TINY, *config_of(method="stochastic", bits=5, seed=3)]) == 0
    run = Path("runs/tiny/version_0")
    kept = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    tensors = decode((run / "astronaut.quinr").read_bytes()).quantized.tensors
    errors = np.concatenate(
        [
            ((kept[f"network.{name}"].numpy() - tensor.dequantize().numpy()) / tensor.steps).ravel()
            for name, tensor in tensors.items()
            if name.startswith("readout")  # of no period
        ]
    )
    assert np.abs(errors).max() < 1 + 1e-5
    assert np.abs(errors).max() > 0.6  # the nearest level is at most half a step away
    assert max(np.abs(tensor.levels).max() for tensor in tensors.values()) <= 2**5


def test_compress_and_decompress():
    Image.fromarray((np.arange(15 * 20) % 256).astype(np.uint8).reshape(15, 20)).save("in.png")
    files = []
    for seed in (0, 0, 1):
        flags = config_of(method="stochastic", bits=4, seed=seed)
        assert main(["compress", "in.png", "-o", "out.quinr", "--overwrite", *TINY, *flags]) == 0
        files.append(Path("out.quinr").read_bytes())
    assert files[0] == files[1] != files[2]
    assert main(["decompress", "out.quinr", "-o", "back.png"]) == 0
    assert np.array_equal(np.asarray(Image.open("back.png")), decompress(files[2])[..., 0])


def test_options_that_cannot_be_are_refused_before_the_fit(capsys):
    for options, said in (
        ({"method": "stochastic", "rate": 3}, "final.rate 3: an option of compensated and stepwise"),
        ({"method": "stochastic", "bits": 20}, "final.bits 20: must lie between 1 and 14"),
    ):
        assert main(["fit", *TINY, *config_of(**options)]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line


def test_a_network_that_it_does_not_serve_is_refused_before_the_fit(capsys):
    flags = config_of(method="stochastic")
    assert main(["fit", "--config", str(CONF / "tiny_latent.yaml"), *flags]) == 2
    assert "quantization method stochastic: not for LatentQuINR" in capsys.readouterr().err


@pytest.mark.slow
def test_comparisons_find_it_by_its_import_path():
    tiny = yaml.safe_load((CONF / "tiny.yaml").read_text())
    config_of(method=f"{__name__}.Stochastic", bits=6)
    callbacks = yaml.safe_load(Path("stochastic.yaml").read_text())["trainer"]["callbacks"]
    fit = {
        "model": tiny["model"],
        "trainer": {"max_steps": 2, "callbacks": callbacks},
        "data": {"init_args": {"batch_size": 64, "steps_per_epoch": 2}},
    }
    method = {"kind": "fit", "base": "sample.yaml", "fit": fit, "points": {"one": {}}}
    comparison = {
        "folder": "runs",
        "processes": 1,
        "data": {"class_path": "SampleDataModule", "init_args": {"longer_side": 16}},
        "images": [{"image": "coffee"}],
        "methods": {"stochastic": method},
    }
    Path("compare.yaml").write_text(json.dumps(comparison))
    assert main(["compare", "--config", "compare.yaml"]) == 0
    (row,) = csv.DictReader(Path("runs/report/results.csv").read_text().splitlines())
    (file,) = Path("runs").rglob("*.quinr")
    assert int(row["bytes"]) == file.stat().st_size
    tensors = decode(file.read_bytes()).quantized.tensors
    assert 2**5 < max(np.abs(tensor.levels).max() for tensor in tensors.values()) <= 2**6
