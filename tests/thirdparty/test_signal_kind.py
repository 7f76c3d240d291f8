"""A kind of signal of somebody else's, with one axis, goes through every command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fits import QUICK
from PIL import Image

from quinr_pl.codec import compress, decode, decompress, inspect
from quinr_pl.codec.file.container import BitstreamError, Reader
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.commands.main import main
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.fields import Integer
from quinr_pl.network import COIN
from quinr_pl.signals import KINDS, FileContent, Signal, SignalKind, SignalSpec

SAMPLES = 200


@dataclass(frozen=True)
class Waveform(SignalKind):
    """Samples over time, as text or as an array."""

    FIELDS = {"loudness": Integer(0, 9, 3)}  # noqa: RUF012
    figures = {"largest_error": ("largest error", "{:.4f}")}  # noqa: RUF012

    def read(self, path):
        attributes = {"loudness": 7} if path.stem == "loud" else {}
        return FileContent(np.loadtxt(path, np.float32, ndmin=2), self.usual_range, attributes)

    def write(self, values, path, attributes):
        if path.suffix == ".wave":
            np.savetxt(path, values, header=f"loudness {attributes['loudness']}")
        else:
            super().write(values, path, attributes)

    def draw(self, targets):
        picture = np.full((32, len(targets), 3), 255, np.uint8)
        heights = np.clip(31 - 31 * targets[:, 0], 0, 31).astype(int)
        picture[heights, np.arange(len(targets))] = 0
        return picture

    def draw_error(self, error):
        return self.draw(error[:, None])

    def measure(self, values, decoded, peak, valid):
        return {"largest_error": float(np.abs(values - decoded).max())}


WAVEFORM = KINDS.register(
    9,
    Waveform(
        9,
        "waveform",
        ("time",),
        "float32",
        (-1.0, 1.0),
        suffixes=(".wave", ".npy"),
        read_suffixes=(".wave",),
    ),
)


def wave() -> np.ndarray:
    time = np.linspace(-1, 1, SAMPLES)[:, None]
    return (0.6 * np.sin(9 * time) * np.exp(-time)).astype(np.float32)[:, [0]] / 2


class WaveDataModule(CoordinateDataModule):
    """An array of samples.

    Args:
        path: The ``.npy`` file.
        **blocks: Further arguments of `CoordinateDataModule`.
    """

    def __init__(self, path: str, **blocks) -> None:
        super().__init__(Path(path).stem, **blocks)
        self.path = path

    def read(self) -> Signal:
        values = np.load(self.path)[:, None]
        return Signal(values, SignalSpec.of(WAVEFORM, values))


DATA = {"class_path": f"{__name__}.WaveDataModule", "init_args": {"batch_size": 64, "steps_per_epoch": 10}}
FIT = {
    "data": DATA,
    "model": {
        "learning_rate": 5e-3,
        "network": {"class_path": "COIN", "init_args": {"layers": 2, "width": 8, "omega0": 10.0}},
    },
    "trainer": {
        "max_steps": 40,
        "log_every_n_steps": 5,
        "logger": {
            "class_path": "pytorch_lightning.loggers.TensorBoardLogger",
            "init_args": {"save_dir": "runs", "name": "wave"},
        },
    },
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("tone.npy", wave()[:, 0])
    Path("fit.yaml").write_text(yaml.safe_dump(FIT))
    return tmp_path


def test_fit_leaves_a_file_a_drawing_and_figures():
    assert main(["fit", "--config", "fit.yaml", "--data.path", "tone.npy"]) == 0
    run = Path("runs/wave/version_0")
    result = json.loads((run / "result.json").read_text())
    data = (run / "tone.quinr").read_bytes()
    decoded = decompress(data)
    assert decoded.shape == (SAMPLES, 1)
    assert decoded.dtype == np.float32
    assert result["largest_error"] == pytest.approx(np.abs(wave() - decoded).max())
    assert result["psnr"] == pytest.approx(10 * np.log10(4 / np.mean((wave() - decoded) ** 2)), rel=1e-5)
    assert result["bpp"] == 8 * len(data) / SAMPLES
    with Image.open(run / "tone.png") as drawing:
        assert drawing.size[0] == SAMPLES
        assert drawing.size[1] > 3 * 32
    assert inspect(data)["kind"] == "waveform"
    assert inspect(data)["shape"] == [SAMPLES, 1]
    kept = ["--config", str(run / "config.yaml"), "--ckpt_path", "best"]
    assert main(["predict", *kept]) == 0
    (written,) = Path("runs/wave").rglob("tone_reconstruction.wave")
    assert np.loadtxt(written).shape == (SAMPLES,)


def test_compress_and_decompress_by_suffix(capsys):
    np.savetxt("tone.wave", wave())
    network = ["--model.network", "COIN", "--model.network.layers", "2", "--model.network.width", "6"]
    flags = [*QUICK, *network, "--trainer.max_steps", "4", "--data.steps_per_epoch", "4"]
    assert main(["compress", "tone.wave", *flags]) == 0
    assert main(["decompress", "tone.quinr", "-o", "back.wave"]) == 0
    assert main(["decompress", "tone.quinr", "-o", "back.npy"]) == 0
    np.testing.assert_allclose(np.loadtxt("back.wave"), np.load("back.npy"), rtol=1e-6)
    assert np.load("back.npy").shape == (SAMPLES,)
    capsys.readouterr()
    assert main(["decompress", "tone.quinr", "-o", "back.png"]) == 2
    assert "back.png: waveform is written as .wave or .npy, not as .png" in capsys.readouterr().err


def test_compress_and_decompress_in_python():
    network = COIN(in_features=1, out_features=2, layers=1, width=4)
    spec = SignalSpec(WAVEFORM, (SAMPLES,), 2, -3.0, 3.0)
    encoded = compress(network, spec)
    # QNR and version; channels, range flag and the escape for kinds; the kind; samples as a varint
    assert encoded.data[4:8] == bytes([2 << 4 | 8 | 7, 9, SAMPLES & 127 | 128, SAMPLES >> 7])
    assert encoded.data[16:17] == bytes([0])  # behind the range: no attribute differs from its default
    decoded = decode(encoded.data)
    assert decoded.spec == spec
    expected = network(torch.linspace(-1, 1, SAMPLES)[:, None]).detach().numpy()
    np.testing.assert_allclose(decoded.reconstruct(), spec.denormalize(expected), atol=0.05 * spec.peak)


def test_an_unknown_network_is_refused_in_one_line(capsys):
    flags = ["--data.path", "tone.npy", "--model.network", "NoNetwork"]
    assert main(["fit", "--config", "fit.yaml", *flags]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "NoNetwork" in line


def test_attributes_of_the_signal_come_back_from_its_file():
    np.savetxt("loud.wave", wave())
    flags = [*QUICK, "--trainer.max_steps", "4", "--data.steps_per_epoch", "4"]
    flags += ["--model.network", "COIN", "--model.network.layers", "1", "--model.network.width", "4"]
    assert main(["compress", "loud.wave", *flags]) == 0
    assert main(["decompress", "loud.quinr", "-o", "back.wave"]) == 0
    assert Path("back.wave").read_text().startswith("# loudness 7")
    assert inspect(Path("loud.quinr").read_bytes())["loudness"] == 7


def test_attributes_out_of_bounds_are_refused():
    with pytest.raises(QuinrError, match=r"waveform.loudness 10: must lie between 0 and 9"):
        SignalSpec(WAVEFORM, (5,), 1, -1.0, 1.0, attributes={"loudness": 10})
    described = bytes([1 << 4 | 7, 9, 5, 1, 10])  # kind, samples, and an attribute's presence and value
    with pytest.raises(BitstreamError, match=r"waveform, field loudness: 10 lies outside 0 to 9"):
        read_signal(Reader(described, "the header"))
    with pytest.raises(BitstreamError, match=r"waveform, presence mask 0x2 has unknown bits"):
        read_signal(Reader(described[:3] + b"\2", "the header"))


def test_a_file_for_coordinates_of_another_size_is_refused():
    with pytest.raises(QuinrError, match="in_features 2: the signal needs 1"):
        compress(COIN(layers=1, width=4, out_features=1), SignalSpec(WAVEFORM, (5,), 1, 0.0, 1.0))


def test_who_does_not_know_the_kind_refuses_the_file(monkeypatch):
    spec = SignalSpec(WAVEFORM, (SAMPLES,), 1, -1.0, 1.0)
    data = compress(COIN(1, 1, layers=1, width=4), spec).data
    monkeypatch.delitem(KINDS._loaded, 9)
    with pytest.raises(QuinrError, match="signal kind 9 is unknown"):
        decode(data)


def test_compare():
    comparison = {
        "folder": "compared",
        "data": {"class_path": f"{__name__}.WaveDataModule"},
        "images": [{"path": "tone.npy"}],
        "processes": 1,
        "anchors": ["COIN"],
        "methods": {
            "COIN": {
                "kind": "fit",
                "fit": {
                    **{key: FIT[key] for key in ("model",)},
                    "data": {"init_args": DATA["init_args"]},
                    "trainer": {
                        "max_steps": 4,
                        "callbacks": yaml.safe_load(Path(QUICK[1]).read_text())["trainer"]["callbacks"],
                    },
                },
                "points": {"one": {}},
            }
        },
    }
    Path("compare.yaml").write_text(yaml.safe_dump(comparison))
    assert main(["compare", "--config", "compare.yaml"]) == 0
    rows = json.loads(Path("compared/report/results.json").read_text())["rows"]
    assert rows[0]["largest_error"] > 0
    assert "largest error" in Path("compared/report/index.html").read_text()
