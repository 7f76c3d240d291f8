"""What the tests of `quinr-pl compress` share."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
from PIL import Image

from quinr_pl.module import CoordinateNetworkModule

DATA = Path(__file__).parents[1] / "data"
TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")
TINY_LATENT = str(Path(__file__).parents[1] / "conf" / "tiny_latent.yaml")
QUICK = ["--config", str(Path(__file__).parents[1] / "conf" / "quick_callbacks.yaml")]
SMALL_FIT = ["--config", TINY, *QUICK, "--trainer.max_steps", "4"]
FEW_STEPS = [
    "--config",
    "compress_coordinates.yaml",
    *QUICK,
    "--trainer.max_steps",
    "2",
    "--data.batch_size",
    "64",
    "--data.steps_per_epoch",
    "2",
]


def kept(folder: Path) -> list[Path]:
    """Folders of interrupted work, beside outputs and in the cache."""
    return sorted([*folder.glob("*.part"), *(folder.parent / "cache" / "compress").glob("*")])


def write_gray(name: str, height: int = 20, width: int = 12) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    Image.fromarray(values).save(name, format="png")
    return values


def error_lines(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("quinr-pl: error:")]


def no_fit(monkeypatch):
    """Makes a fit an error: what is tested must be found before."""

    def fit(*args, **names):
        raise AssertionError("a fit was started")

    monkeypatch.setattr("quinr_pl.fitting.fit", fit)


def interrupted_at(call: int, monkeypatch):
    """Interrupts a fit at one of its steps, counted from 1."""
    step, calls = CoordinateNetworkModule.training_step, [0]

    def interrupting(self, batch, batch_index):
        calls[0] += 1
        if calls[0] == call:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_index)

    monkeypatch.setattr(CoordinateNetworkModule, "training_step", interrupting)
    return calls


WAVES = ["--trainer.max_steps", "60", "--data.batch_size", "512", "--data.steps_per_epoch", "60"]
WAVES += ["--config", "compress_coordinates.yaml", *QUICK]
WAVES += ["--model.warmup_steps", "5", "--model.learning_rate", "1e-2"]


def write_waves(name: str, scale: int = 1) -> np.ndarray:
    rows, columns = np.mgrid[: 48 * scale, : 64 * scale] / 64
    pixels = np.rint(255 * (0.5 + 0.4 * np.sin(5 * rows) * np.cos(4 * columns))).astype(np.uint8)
    Image.fromarray(pixels).save(name)
    return pixels


FEW_LATENT_STEPS = ["--trainer.max_steps", "120", "--model.warmup_steps", "5"]


def write_edges(
    name: str,
    height: int = 60,
    width: int = 80,
    channels: int = 3,
    dtype: type = np.uint8,
    noise: float = 0.0,
) -> None:
    """A picture with edges, a ramp, a texture and normal noise."""
    rows, columns = np.mgrid[:height, :width]
    planes = [
        0.2 + 0.5 * ((rows - height / 2) ** 2 + (columns - width / 2) ** 2 < 400),
        0.3 + 0.4 * columns / width,
        0.5 + 0.3 * (np.sin(rows / 2) > 0) * (columns > width / 2),
        0.1 + 0.8 * rows / height,
    ]
    values = np.stack(planes[:channels], axis=2)
    values += np.random.default_rng(0).normal(0, noise, values.shape)
    values = values.clip(0, 1) * np.iinfo(dtype).max
    Image.fromarray(np.rint(values).astype(dtype).squeeze()).save(name)
