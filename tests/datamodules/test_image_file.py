from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fits import QUICK_TINY
from PIL import Image

from quinr_pl.codec import decompress
from quinr_pl.commands.main import main
from quinr_pl.datamodules import ImageDataModule, read_signal
from quinr_pl.datamodules.range_image import Projection, project
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import rate_and_distortion
from quinr_pl.signals import ARRAY, IMAGE_8, RANGE_IMAGE, SignalSpec, image_spec, write_signal

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 1), (4, 2, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_image_round_trip(tmp_path, shape, dtype):
    pixels = GENERATOR.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    spec = image_spec(pixels)
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
    data = ImageDataModule(str(tmp_path / "a.npy"), channel_axis=None if len(shape) == 2 else 2)
    data.setup()
    assert data.spec.kind is ARRAY
    np.testing.assert_array_equal(data.values.reshape(shape), array)
    assert data.values.dtype == np.dtype(dtype).newbyteorder("=")
    assert data.channels == data.spec.channels == (7 if len(shape) == 3 else 1)
    assert (data.spec.low, data.spec.high) == (np.float32(array.min()), np.float32(array.max()))
    back = data.spec.denormalize(data.targets.numpy()).reshape(shape)
    np.testing.assert_allclose(
        back, array.astype(np.float64), rtol=1e-6, atol=1e-6 * np.ptp(array.astype(float))
    )


@pytest.mark.parametrize("code", ["u1", "u2", "i2", "u4", "i8", "f2", "f4", "f8"])
def test_order_of_bytes_and_axes_in_the_file_means_nothing(tmp_path, code):
    array = GENERATOR.integers(0, 100, (6, 5, 3)).astype(code)
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.asfortranarray(array.astype(f">{code}")))
    plain, twin = read_signal(tmp_path / "a.npy"), read_signal(tmp_path / "b.npy")
    assert plain.spec == twin.spec
    assert plain.values.dtype == twin.values.dtype
    np.testing.assert_array_equal(plain.values, twin.values)


@pytest.mark.parametrize(
    "array",
    [
        1e9 + np.arange(12.0).reshape(3, 4) % 10,
        1_700_000_000_000_000_000 + 100_000 * np.arange(4096).reshape(64, 64),
        2**63 + np.arange(6, dtype=np.uint64).reshape(2, 3),
        1e-310 * np.arange(6.0).reshape(2, 3),
        np.array([[2**31, 2**31 + 5000]], np.uint32),
    ],
    ids=["reals", "nanoseconds", "large integers", "denormals", "32-bit integers"],
)
def test_values_that_float32_cannot_tell_apart_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(QuinrError, match=r"a\.npy: values from .* subtract their smallest"):
        read_signal(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", array - array.min() if array.max() > 1 else array * 1e308)
    read_signal(tmp_path / "a.npy")


def test_small_losses_are_said(tmp_path, capsys):
    # float32 steps by 1/128 between 65,536 and 131,072: halves of that are 4e-5 of a range of 100.
    np.save(tmp_path / "a.npy", 1e5 + np.array([[0.0, 1 / 256, 100.0]]))
    read_signal(tmp_path / "a.npy")
    assert "a.npy: values decode as float32, which is off by up to 0.0039%" in capsys.readouterr().err
    np.save(tmp_path / "b.npy", GENERATOR.random((5, 5)))
    read_signal(tmp_path / "b.npy")
    assert capsys.readouterr().err == ""


def test_constant_integers_of_any_size(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 2), 1_700_000_000_000_000_001))
    assert read_signal(tmp_path / "a.npy").spec.low == np.float32(1.7e18)


@pytest.mark.parametrize(("axis", "shape"), [(0, (5, 64, 256)), (1, (64, 5, 256)), (-3, (5, 8, 8))])
def test_channels_elsewhere(tmp_path, capsys, axis, shape):
    array = GENERATOR.random(shape, np.float32)
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(QuinrError, match=r"which axis are the channels\? say --data\.channel_axis"):
        read_signal(tmp_path / "a.npy")
    data = ImageDataModule(str(tmp_path / "a.npy"), channel_axis=axis)
    assert data.channels == 5
    data.setup()
    expected = np.stack([np.take(array, channel, axis) for channel in range(5)], axis=-1)
    np.testing.assert_array_equal(data.values, expected)
    assert f"decodes to {expected.shape}, channels last" in capsys.readouterr().err


def test_bad_channel_axes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 2)))
    with pytest.raises(QuinrError, match=r"--data\.channel_axis 3"):
        read_signal(tmp_path / "a.npy", channel_axis=3)
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    with pytest.raises(QuinrError, match=r"shape \(4, 4\)"):
        read_signal(tmp_path / "a.npy", channel_axis=0)


@pytest.mark.parametrize("columns", [3, 4, 5])
def test_points_in_an_array(tmp_path, columns):
    points = street_scan(0, azimuths=50)[:, [0, 1, 2, 3, 3][:columns]]
    np.save(tmp_path / "a.npy", points.astype(np.float64))
    with pytest.raises(QuinrError, match=r"looks like points, .* say --data\.points true"):
        read_signal(tmp_path / "a.npy")
    signal = read_signal(tmp_path / "a.npy", points=True)
    np.testing.assert_array_equal(signal.values[..., 0], project(points, Projection())[0])
    assert read_signal(tmp_path / "a.npy", points=False).values.shape == (len(points), columns, 1)
    np.save(tmp_path / "a.npy", points[:, :2])
    with pytest.raises(QuinrError, match=r"needs \(points, 3 or more\)"):
        read_signal(tmp_path / "a.npy", points=True)


def test_quality_is_measured_against_what_was_given(tmp_path):
    """Beyond 2^24 float32 steps by 2: of values that are odd it decodes none."""
    array = 2.0**24 + 1 + 2 * GENERATOR.integers(0, 2000, (6, 6))
    np.save(tmp_path / "a.npy", array)
    data = ImageDataModule(str(tmp_path / "a.npy"))
    data.setup()
    best = data.spec.denormalize(data.targets.numpy()).reshape(data.values.shape)
    figures = rate_and_distortion(1, data.values, best, data.spec, None)
    error = np.mean((array[..., None] - best.astype(np.float64)) ** 2)
    assert error >= 1
    assert figures["psnr"] == pytest.approx(10 * np.log10((data.spec.high - data.spec.low) ** 2 / error))


@pytest.mark.parametrize(
    ("suffix", "remedy"),
    [(".e57", ".bin file"), (".xyz", ".bin file"), (".csv", "numpy.save"), (".npz", "numpy.save")],
)
def test_other_kinds_of_file_name_what_to_do(tmp_path, suffix, remedy):
    (tmp_path / f"a{suffix}").write_text("1,2,3\n")
    with pytest.raises(QuinrError, match=f"{suffix} files are not read; .*{remedy}"):
        read_signal(tmp_path / f"a{suffix}")


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
        (np.array(3.0), r"shape \(\)"),
        (np.zeros((0, 5)), r"shape \(0, 5\) holds no element"),
        (np.zeros(3, [("x", "<f4"), ("y", "<f4")]), "one field or column"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), bool), r"bool; .* astype\(numpy.uint8\)"),
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
    spec = SignalSpec(RANGE_IMAGE, (2, 2), 1, 0.0, 80.0)
    metres = np.array([[0.0, 1.0], [12.5, 80.0]], np.float32)[:, :, None]
    write_signal(metres, spec, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), [[0, 256], [3200, 20480]])
    write_signal(metres, spec, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), metres[..., 0])


def test_refused_outputs_leave_nothing(tmp_path):
    real = SignalSpec(ARRAY, (1, 1), 1, 0.0, 1.0)
    five = SignalSpec(IMAGE_8, (1, 1), 5, 0.0, 255.0)
    far = SignalSpec(RANGE_IMAGE, (1, 1), 1, 0.0, 300.0)
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


def test_reported_quality_is_against_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    array = 1e5 + 10 * GENERATOR.random((12, 12))  # float32 steps by 1/128 there
    np.save("a.npy", array)
    assert main(["fit", *QUICK_TINY, "--data", "ImageDataModule", "--data.path", "a.npy"]) == 0
    (run,) = Path("runs/tiny").glob("version_*")
    decoded = decompress((run / "a.quinr").read_bytes())[..., 0].astype(np.float64)
    peak = float(np.float32(array.max())) - float(np.float32(array.min()))
    expected = 10 * np.log10(peak**2 / np.mean((array - decoded) ** 2))
    assert json.loads((run / "result.json").read_text())["psnr"] == pytest.approx(expected, rel=1e-9)
