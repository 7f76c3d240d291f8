"""A network of somebody else's goes through the commands without a change in the package."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from quinr_pl.codec import BitstreamError, check_encodable, compress, decode, decompress
from quinr_pl.codec.rate_control import BITS_PER_WEIGHT
from quinr_pl.commands.main import main
from quinr_pl.errors import QuinrError
from quinr_pl.fields import Field, Integer, Switch
from quinr_pl.network import COIN, NETWORKS, CoordinateNetwork
from quinr_pl.network.cost import NetworkCost
from quinr_pl.signals import IMAGE_8, SignalSpec

IMAGE = SignalSpec(IMAGE_8, (6, 9), 3, 0.0, 255.0)


class Cosines(CoordinateNetwork):
    """A linear function of cosines of linear functions of the coordinates."""

    CODE = 200
    FIELDS: ClassVar[Mapping[str, Field]] = {
        "cosines": Integer(1, 64),
        "squared": Switch(False, True),
        "in_features": Integer(1, 8, 2),
    }

    def __init__(
        self, in_features: int = 2, out_features: int = 3, cosines: int = 8, squared: bool = False
    ) -> None:
        super().__init__(in_features=in_features, out_features=out_features, cosines=cosines, squared=squared)
        self.squared = squared
        self.angles = nn.Linear(in_features, cosines)
        self.values = nn.Linear(cosines, out_features)

    def forward(self, coordinates: Tensor) -> Tensor:
        features = torch.cos(3 * self.angles(coordinates))
        return self.values(features.square() if self.squared else features)

    @classmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        width, outputs = architecture["cosines"], architecture["out_features"]
        parameters = width * (architecture["in_features"] + 1) + outputs * (width + 1)
        return NetworkCost(parameters, 4, parameters + 50 * width, 4 * width + 8 * outputs)


NETWORKS.register(Cosines.CODE, Cosines)  # where the module is imported, as in the workers of a comparison


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(NETWORKS, "_loaded", dict(NETWORKS._loaded))  # what a test changes, others go without


def config(**trainer: Any) -> list[str]:
    """Flags of a config of a quick fit of it."""
    tree = yaml.safe_load((Path(__file__).parents[1] / "conf" / "tiny.yaml").read_text())
    tree["model"]["network"] = {"class_path": f"{__name__}.Cosines", "init_args": {"cosines": 5}}
    tree["trainer"].update(max_steps=4, **trainer)
    Path("cosines.yaml").write_text(yaml.safe_dump(tree))
    return ["--config", "cosines.yaml"]


def by_hand(data: bytes, coordinates: np.ndarray) -> np.ndarray:
    """Values in [0, 1] of coordinates, from the weights of a file and the network's formula."""
    weights = {name: values.numpy() for name, values in decode(data).quantized.dequantize().items()}
    features = np.cos(3 * (coordinates @ weights["angles.weight"].T + weights["angles.bias"]))
    return np.clip(features @ weights["values.weight"].T + weights["values.bias"], 0, 1)


def grid(height: int, width: int) -> np.ndarray:
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([rows, columns], axis=2)


def test_files_hold_it():
    torch.manual_seed(0)
    network = Cosines(cosines=6)
    encoded = compress(network, IMAGE)
    decoded = decode(encoded.data)
    assert type(decoded.network) is Cosines
    assert decoded.network.architecture() == network.architecture()
    assert sum(encoded.sections.values()) == len(encoded.data)
    pixels = decoded.reconstruct().astype(float)
    assert np.abs(pixels - 255 * by_hand(encoded.data, grid(6, 9))).max() <= 0.5 + 1e-3
    # Kind and channels, height, width; class, mask of no optional field, cosines.
    assert encoded.data[4:10] == bytes([0x30, 6, 9, 200, 0, 6])
    squared = compress(Cosines(cosines=6, squared=True), IMAGE).data
    assert squared[7:10] == bytes([200, 0b01, 6])
    assert decode(squared).network.architecture()["squared"] is True


def test_bounds_of_its_fields_are_kept():
    with pytest.raises(QuinrError, match=r"^--model\.network\.cosines 65: must lie between 1 and 64$"):
        Cosines(cosines=65)
    with pytest.raises(QuinrError, match=r"^--model\.network\.out_features 0: must be at least 1$"):
        Cosines(out_features=0)
    with pytest.raises(QuinrError, match=r"^--model\.network\.out_features 2: the signal needs 3$"):
        compress(Cosines(out_features=2), IMAGE)


def test_what_no_section_holds_is_refused_by_name():
    class Scaled(Cosines):
        CODE = 201

        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.register_buffer("scale", torch.ones(1))

    NETWORKS.register(Scaled.CODE, Scaled)
    with pytest.raises(QuinrError, match=r"Scaled: no section of the file holds its scale; make buffers not"):
        check_encodable(Scaled(), IMAGE)


def test_a_file_of_an_unknown_class_is_refused(monkeypatch):
    data = compress(Cosines(), IMAGE).data
    monkeypatch.setattr(NETWORKS, "_loaded", {})
    with pytest.raises(BitstreamError, match="network class 200 is unknown"):
        decode(data)
    with pytest.raises(QuinrError, match="files do not know the class; give it a CODE"):
        compress(Cosines(), IMAGE)
    with pytest.raises(QuinrError, match="network class 1: there is one already"):
        NETWORKS.register(COIN.CODE, Cosines)


def test_fit_compress_and_decompress(capsys):
    assert main(["fit", *config()]) == 0
    run = Path("runs/tiny/version_0")
    result = json.loads((run / "result.json").read_text())
    assert result["parameters"] == 5 * 3 + 3 * 6
    assert type(decode((run / "astronaut.quinr").read_bytes()).network) is Cosines
    assert main(["validate", *config(), "--ckpt_path", "best"]) == 0

    picture = (np.arange(15 * 20 * 3) % 251).astype(np.uint8).reshape(15, 20, 3)
    Image.fromarray(picture).save("in.png")
    rounding = ["--quantization", f"{{method: compensated, rate: {BITS_PER_WEIGHT}}}"]
    assert main(["compress", "in.png", "-o", "out.quinr", *config(), *rounding]) == 0
    data = Path("out.quinr").read_bytes()
    assert main(["decompress", "out.quinr", "-o", "back.png"]) == 0
    back = np.asarray(Image.open("back.png"))
    assert np.array_equal(back, decompress(data))
    assert np.abs(back - 255 * by_hand(data, grid(15, 20))).max() <= 0.5 + 1e-3
    capsys.readouterr()
    assert main(["inspect", "out.quinr", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["network"], shown["parameters"]) == ("Cosines", 33)


@pytest.mark.slow
def test_comparisons_fit_it():
    config()
    fit = {
        "model": yaml.safe_load(Path("cosines.yaml").read_text())["model"],
        "trainer": {"max_steps": 2},
        "data": {"init_args": {"batch_size": 64, "steps_per_epoch": 2}},
    }
    comparison = {
        "folder": "compared",
        "processes": 1,
        "data": {"class_path": "SampleDataModule", "init_args": {"longer_side": 16}},
        "images": [{"image": "coffee"}],
        "methods": {"cosines": {"kind": "fit", "base": "sample.yaml", "fit": fit, "points": {"one": {}}}},
    }
    Path("compare.yaml").write_text(json.dumps(comparison))
    assert main(["compare", "--config", "compare.yaml"]) == 0
    (row,) = csv.DictReader(Path("compared/report/results.csv").read_text().splitlines())
    (file,) = Path("compared").rglob("*.quinr")
    assert int(row["bytes"]) == file.stat().st_size
    assert type(decode(file.read_bytes()).network) is Cosines
