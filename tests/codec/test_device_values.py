"""Values that torch computes on a device beside those of the decoder; here the device is the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from quinr_pl.codec import DecodedSignal, Frames, decode, decompress
from quinr_pl.codec.circuits import with_engine
from quinr_pl.codec.device_values import on_device
from quinr_pl.codec.devices import find_device
from quinr_pl.errors import QuinrError

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(DATA.glob("*.quinr"))
FRAMES = sorted((DATA / "frames").glob("*.quinr"))
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")


def assert_alike(decoded: DecodedSignal, device: str) -> None:
    """Float32 blocks within 1e-4 of the range, and pixels that differ by a level where that rounds them."""
    moved = on_device(decoded, device)
    expected, found = decoded.reconstruct(), moved.reconstruct()
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    block = moved.reconstruction(0, decoded.spec.pixels, decoded.spec.shape)
    assert (block.shape, block.dtype) == ((decoded.spec.pixels, decoded.spec.channels), np.float32)
    difference = np.abs(found.astype(np.float64) - expected)
    if expected.dtype.kind == "f":
        assert difference.max() <= 1e-4 * decoded.spec.peak
    else:
        of_eight_bits = expected.dtype == np.uint8
        assert difference.max() <= (1 if of_eight_bits else 1e-4 * decoded.spec.peak)
        assert not of_eight_bits or np.mean(difference > 0) < 1e-3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_values_are_those_of_the_decoder(path):
    assert_alike(decode(path.read_bytes(), path.name), "cpu")


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.stem)
def test_so_are_those_of_frames_that_are_told_by_another(path):
    for decoded in Frames(path.read_bytes()):
        assert_alike(decoded, "cpu")


def test_blocks_are_parts_of_the_whole():
    moved = on_device(decode((DATA / "latent_filters_rgb8.quinr").read_bytes()), "cpu")
    np.testing.assert_array_equal(moved.reconstruct(block=moved.spec.shape[1]), moved.reconstruct())


def test_the_next_frame_is_told_by_the_decoder_whatever_computes_this_one():
    decoded = Frames((DATA / "frames" / "scans_after_motion.quinr").read_bytes())[0]

    def nothing(start: int, stop: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros((stop - start, 1), np.float32)

    moved = on_device(decoded.computed_by(nothing), "cpu")
    expected, found = decoded.as_reference().targets, moved.as_reference().targets
    assert expected is not None
    assert found is not None
    assert found().tobytes() == expected().tobytes()


def test_the_file_keeps_its_own_reconstruction_and_network():
    decoded = decode((DATA / "latent_rgb8.quinr").read_bytes())
    network, reconstruction = decoded.network, decoded.reconstruction
    moved = on_device(decoded, "cpu")
    assert decoded.reconstruction is reconstruction
    assert moved.network is not network


def test_an_engine_runs_where_the_device_is():
    decoded = decode((DATA / "quinr_rgb8.quinr").read_bytes())
    values = with_engine(decoded, "torch", "cpu")[0].reconstruct()
    np.testing.assert_allclose(values.astype(float), decoded.reconstruct(), atol=1)
    with pytest.raises(QuinrError, match=r"engine cuda on a cpu device: .*choose auto"):
        with_engine(decoded, "cuda", "cpu")


@pytest.mark.parametrize("name", ["meta", "mps", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "", "cpu:1"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(QuinrError, match=f"^--device {name}: give cpu, cuda, cuda:N"):
        find_device(name)


@without_gpu
def test_without_a_gpu_one_is_refused_and_auto_is_the_cpu():
    for name in ("cuda", "cuda:1"):
        with pytest.raises(QuinrError, match=f"^--device {name}: torch finds no GPU .* give cpu or auto$"):
            find_device(name)
    assert find_device("auto") == find_device("cpu") == "cpu"
    path = DATA / "latent_rgb8.quinr"
    np.testing.assert_array_equal(decompress(path, device="auto"), decompress(path))
    with pytest.raises(QuinrError, match="--device cuda"):
        decompress(path, device="cuda")


def test_a_gpu_that_is_not_among_those_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert (find_device("auto"), find_device("cuda"), find_device("cuda:0")) == ("cuda:1", "cuda:1", "cuda:0")
    with pytest.raises(QuinrError, match="--device cuda:2: torch finds cuda:0, cuda:1 here; give"):
        find_device("cuda:2")


def test_too_little_memory_of_a_device_is_one_line(monkeypatch):
    decoded = decode((DATA / "quinr_rgb8.quinr").read_bytes(), "photo.quinr")
    moved = on_device(decoded, "cpu")

    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(type(decoded.network), "signal", full)
    with pytest.raises(QuinrError, match=r"^--device cpu: .* decode photo\.quinr; free some, or give cpu$"):
        moved.reconstruct()
