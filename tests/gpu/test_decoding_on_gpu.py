"""Files whose values a GPU computes against those of the decoder on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quinr_pl.codec import Frames, decode, decompress
from quinr_pl.codec.circuits import with_engine
from quinr_pl.codec.device_values import on_device
from quinr_pl.commands.main import main

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(DATA.glob("*.quinr"))
FRAMES = sorted((DATA / "frames").glob("*.quinr"))


def assert_alike(found: np.ndarray, expected: np.ndarray, peak: float) -> None:
    """Of 8 bits a level apart in a thousandth of the pixels, of others 1e-4 of the range."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    difference = np.abs(found.astype(np.float64) - expected)
    if expected.dtype == np.uint8:
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 1e-3
    else:
        assert difference.max() <= 1e-4 * peak


@pytest.mark.parametrize("path", [*FILES, *FRAMES], ids=lambda path: path.stem)
def test_values_are_those_of_the_decoder(gpu, path):
    for decoded in Frames(path.read_bytes()):
        moved = on_device(decoded, gpu.type)
        assert_alike(moved.reconstruct(), decoded.reconstruct(), decoded.spec.peak)


@pytest.mark.parametrize("name", ["latent_rgb8", "quinr_qvf_rgb8"])
@pytest.mark.parametrize("engine", [[], ["--engine", "torch"]])
def test_the_command_writes_what_the_decoder_gives(gpu, name, engine, tmp_path):
    file, output = DATA / f"{name}.quinr", tmp_path / "back.npy"
    assert main(["decompress", str(file), "-o", str(output), "--device", "cuda", *engine]) == 0
    expected = decompress(file)
    found = np.load(output).reshape(expected.shape)
    assert np.abs(found.astype(float) - expected).max() <= 1
    assert_alike(decompress(file, device="auto"), expected, 255.0)


def test_an_engine_of_measurements_samples_there(gpu):
    decoded = decode((DATA / "quinr_rgb8.quinr").read_bytes())
    values = with_engine(decoded, "shots=1000,seed=0", gpu.type)[0].reconstruct()
    assert 0 < np.abs(values.astype(float) - decoded.reconstruct()).mean() < 30
