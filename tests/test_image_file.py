from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from quinr_pl.datamodules import ImageDataModule, read_signal, write_signal
from quinr_pl.errors import QuinrError
from quinr_pl.signal import SignalKind, SignalSpec

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 1), (4, 2, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_image_round_trip(tmp_path, shape, dtype):
    pixels = GENERATOR.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    spec = SignalSpec.of_image(pixels)
    for name in ("a.png", "a.npy"):
        write_signal(pixels, spec, tmp_path / name)
        data = ImageDataModule(str(tmp_path / name))
        assert data.channels == shape[2]
        data.setup()
        assert (data.name, data.spec, data.valid) == ("a", spec, None)
        np.testing.assert_array_equal(data.values, pixels)
        back = spec.denormalize(data.targets.numpy()).reshape(shape)
        np.testing.assert_array_equal(back, pixels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "a.png"]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint32, np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 7)])
def test_arrays_of_numbers(tmp_path, dtype, shape):
    array = (100 * GENERATOR.standard_normal(shape)).round(2).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    data = ImageDataModule(str(tmp_path / "a.npy"))
    data.setup()
    assert data.spec.kind is SignalKind.ARRAY
    assert data.channels == data.spec.channels == (7 if len(shape) == 3 else 1)
    assert (data.spec.low, data.spec.high) == (np.float32(array.min()), np.float32(array.max()))
    back = data.spec.denormalize(data.targets.numpy()).reshape(shape)
    np.testing.assert_allclose(
        back, array.astype(np.float64), rtol=1e-6, atol=1e-6 * np.ptp(array.astype(float))
    )


@pytest.mark.parametrize("value", [0.0, -3.0, 1e30])
def test_constant_array_comes_back(tmp_path, value):
    np.save(tmp_path / "a.npy", np.full((2, 2), value, np.float32))
    signal = read_signal(tmp_path / "a.npy")
    back = signal.spec.denormalize(signal.spec.normalize(signal.values))
    np.testing.assert_allclose(back, np.float32(value), rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1.0, np.nan]]), r"element \(0, 1, 0\) is nan"),
        (np.array([[np.inf]]), "is inf"),
        (np.array([[1e300]]), "beyond the range of float32"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((2, 2, 2, 2)), "needs .height, width"),
        (np.zeros((0, 5)), r"shape \(0, 5\)"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), bool), "bool"),
        (np.array([["a"]]), "<U1"),
        (np.array([[{}]], dtype=object), "not an array of numbers"),
    ],
)
def test_bad_arrays(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(QuinrError, match=message) as caught:
        read_signal(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 5, 60, 200])
def test_cut_array(tmp_path, keep):
    np.save(tmp_path / "a.npy", np.zeros((10, 10)))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:keep])
    with pytest.raises(QuinrError, match=r"a\.npy"):
        read_signal(tmp_path / "a.npy")


def test_archive_and_missing_and_folder(tmp_path):
    np.savez(tmp_path / "a.npz", np.zeros((2, 2)))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(QuinrError, match="archive"):
        read_signal(tmp_path / "a.npy")
    with pytest.raises(QuinrError, match="no such file"):
        _ = ImageDataModule(str(tmp_path / "b.png")).channels
    with pytest.raises(QuinrError, match="is a folder"):
        read_signal(tmp_path)


def test_range_image_png_follows_kitti_depth(tmp_path):
    spec = SignalSpec(SignalKind.RANGE_IMAGE, 2, 2, 1, 0.0, 80.0)
    metres = np.array([[0.0, 1.0], [12.5, 80.0]], np.float32)[:, :, None]
    write_signal(metres, spec, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), [[0, 256], [3200, 20480]])
    write_signal(metres, spec, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), metres[..., 0])


def test_refused_outputs_leave_nothing(tmp_path):
    real = SignalSpec(SignalKind.ARRAY, 1, 1, 1, 0.0, 1.0)
    five = SignalSpec(SignalKind.IMAGE_8, 1, 1, 5, 0.0, 255.0)
    far = SignalSpec(SignalKind.RANGE_IMAGE, 1, 1, 1, 0.0, 300.0)
    cases = [
        (real, "a.png"),
        (five, "a.png"),
        (far, "a.png"),
        (real, "a.jpg"),
        (real, "a"),
        (real, "no/a.npy"),
    ]
    for spec, name in cases:
        with pytest.raises(QuinrError, match=name):
            write_signal(np.zeros((1, 1, spec.channels), np.uint8), spec, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_scan_by_suffix(tmp_path):
    np.array([[10, 0, 0, 0]], "<f4").tofile(tmp_path / "a.bin")
    data = ImageDataModule(str(tmp_path / "a.bin"), height=8, width=16)
    data.setup()
    assert data.channels == 1
    assert data.values.shape == (8, 16, 1)
    assert data.valid is not None
    assert data.valid.sum() == 1
    assert data.values.max() == 10
