"""Volumes from files and to files, and through every command."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from fits import QUICK
from processes import COMMAND, completed

from quinr_pl.arrays import compress
from quinr_pl.baselines.jpeg2000 import JPEG2000
from quinr_pl.codec import decode, decompress
from quinr_pl.commands.main import main
from quinr_pl.datamodules import ImageDataModule, read_signal
from quinr_pl.errors import QuinrError
from quinr_pl.signals import ARRAY, VOLUME, SignalSpec
from quinr_pl.signals.distortion import psnr

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

AFFINE = np.array([[2.5, 0, 0, -40], [0, 2, 0.5, -30.25], [0, -0.5, 3, 12], [0, 0, 0, 1]])
FEW = [*QUICK, "--trainer.max_steps", "20", "--data.steps_per_epoch", "20", "--model.warmup_steps", "2"]
COORDINATES = ["--config", "compress_coordinates.yaml", *FEW, "--data.batch_size", "256"]


def ball(dtype: str = "int16", channels: int = 1) -> np.ndarray:
    """A bright ball with a gradient, (x, y, z) or (x, y, z, channels)."""
    x, y, z = np.mgrid[-1:1:14j, -1:1:12j, -1:1:9j]
    values = 400 * (x**2 + y**2 + z**2 < 0.6) + 100 * x - 50 * y + 25 * z
    stacked = np.stack([values, 90 - values][:channels], axis=-1)
    if np.dtype(dtype).kind == "u":
        stacked = stacked + 500
    if dtype in ("int8", "uint8"):
        stacked = stacked / 10
    return stacked.astype(dtype)[..., 0] if channels == 1 else stacked.astype(dtype)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(ball(), AFFINE), "scan.nii.gz")
    return tmp_path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_voxels_type_and_place_survive_reading_and_writing(dtype, channels):
    values = ball(dtype, channels)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE, dtype=dtype), "a.nii.gz")
    signal = read_signal(Path("a.nii.gz"))
    spec = signal.spec
    assert (spec.kind, spec.shape, spec.channels) == (VOLUME, (9, 12, 14), channels)
    assert spec.dtype == signal.values.dtype == np.dtype(dtype)
    VOLUME.write(spec.denormalize(spec.normalize(signal.values)), Path("back.nii"), spec.attributes)
    back = nibabel.load("back.nii")
    assert back.get_data_dtype() == np.dtype(dtype)
    np.testing.assert_allclose(back.affine, AFFINE)
    atol = 0 if np.dtype(dtype).kind in "iu" else 1e-3
    np.testing.assert_allclose(np.asarray(back.dataobj), values, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64", "float64"])
def test_the_whole_range_of_a_type_is_kept(dtype):
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(np.float32)
    values = np.full((2, 2, 2, 1), limits.max, dtype)
    values[0, 0, 0] = limits.min
    np.save("a.npy", values[..., 0])
    data = ImageDataModule("a.npy", volume=True)
    data.setup()
    decoded = data.spec.denormalize(data.spec.normalize(data.values))
    assert decoded.dtype == np.dtype(dtype)
    moved = np.abs(decoded.astype(float) - values.astype(float)).max()
    assert moved <= 1e-6 * (float(limits.max) - float(limits.min))


def test_stored_scales_give_real_numbers():
    image = nibabel.Nifti1Image(ball(), AFFINE)
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, "a.nii")
    signal = read_signal(Path("a.nii"))
    np.testing.assert_array_equal(signal.values[..., 0].T, ball() * 0.5 + 3)
    assert signal.spec.dtype == np.float32


def test_arrays_are_volumes_where_asked_for():
    array = ball("float32", 2)
    np.save("a.npy", array)
    with pytest.raises(QuinrError, match=r"shape \(14, 12, 9, 2\); needs .* say --data.volume true"):
        read_signal(Path("a.npy"))
    np.save("single.npy", array[..., 0])
    np.save("first.npy", np.moveaxis(array, -1, 0))
    np.save("half.npy", array.astype(np.float16))
    for name, options, shape in [
        ("a.npy", {}, (14, 12, 9, 2)),
        ("single.npy", {}, (14, 12, 9, 1)),
        ("first.npy", {"channel_axis": 0}, (14, 12, 9, 2)),
        ("half.npy", {}, (14, 12, 9, 2)),
    ]:
        data = ImageDataModule(name, volume=True, **options)
        assert (data.axes, data.channels) == (3, shape[-1])
        data.setup()
        assert data.spec.kind is VOLUME
        np.testing.assert_allclose(data.values, array[..., : shape[-1]], atol=0.5)
        assert data.spec.kind.usual_suffix(data.spec.attributes) == ".npy"
        VOLUME.write(data.values, Path("b.nii.gz"), data.spec.attributes)
        assert nibabel.load("b.nii.gz").get_data_dtype() == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Path("scan.nii.gz").write_bytes(Path("scan.nii.gz").read_bytes()[:300]), "cut or no NIfTI"),
        (lambda: Path("scan.nii.gz").write_bytes(b"no volume"), "cut or no NIfTI"),
        (lambda: nibabel.save(nibabel.Nifti1Image(ball()[0], AFFINE), "scan.nii.gz"), "needs three axes"),
        (
            lambda: nibabel.save(nibabel.Nifti1Image(ball().astype(np.complex64), AFFINE), "scan.nii.gz"),
            "elements of type complex64",
        ),
        (
            lambda: nibabel.save(nibabel.Nifti1Image(np.full((2, 3, 4), np.nan), AFFINE), "scan.nii.gz"),
            "element (0, 0, 0, 0) is nan; replace what is not finite",
        ),
    ],
)
def test_what_is_no_volume_is_refused_in_one_line(make, message, capsys):
    make()
    assert main(["compress", "scan.nii.gz"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("quinr-pl: error: scan.nii.gz: ")
    assert message in error
    assert error.count("\n") == 1


def test_values_that_their_range_in_single_precision_loses_are_refused():
    np.save("a.npy", np.arange(8).reshape(2, 2, 2) + 10**12)
    with pytest.raises(QuinrError, match=r"of their range as float32.*subtract their smallest"):
        ImageDataModule("a.npy", volume=True).read()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(QuinrError, match=r"scan.nii.gz: nibabel is not installed; pip install 'nibabel>="):
        read_signal(Path("scan.nii.gz"))


def test_the_middle_slices_are_drawn():
    spec = SignalSpec(VOLUME, (9, 12, 14), 1, 0.0, 100.0)
    values = np.zeros((9, 12, 14, 1), np.int16)
    values[4] = 100
    picture = spec.picture(values)
    assert picture.shape == spec.error_picture(values, values).shape
    assert picture.shape == (12 + 2 * (12 + 4), 14, 3)  # below one another, four pixels apart
    assert (picture[:12] == 255).all()
    assert (picture[16:25, 0, 0] == [0, 0, 0, 0, 255, 0, 0, 0, 0]).all()
    assert (picture[32:41, 0, 0] == [0, 0, 0, 0, 255, 0, 0, 0, 0]).all()


@pytest.mark.parametrize("shape", [(9, 22, 24), (24, 5, 22), (26, 27)])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_jpeg2000_of_planes(shape, channels):
    grid = np.stack(np.meshgrid(*(np.linspace(0, 3, size) for size in shape), indexing="ij"), -1)
    values = np.repeat((900 * np.sin(grid.sum(-1)))[..., None], channels, -1)
    values = (values * np.arange(1, channels + 1)).astype(np.float32)
    kind = VOLUME if len(shape) == 3 else ARRAY
    given = {"value_type": "float32"} if kind is VOLUME else {}
    spec = SignalSpec.of(kind, values, (float(values.min()), float(values.max())), given)
    codec = JPEG2000(bits=16)
    small, large = (codec.encode(values, spec, bpp) for bpp in (1.0 * channels, 6.0 * channels))
    assert len(small) < len(large)
    decoded = codec.decode(large, spec)
    assert decoded.shape == values.shape
    assert psnr(values, decoded, spec.peak) > 35


def test_compress_and_decompress_in_a_new_process(capsys, folder):
    assert main(["compress", "scan.nii.gz", "--bytes", "600", "--json", *COORDINATES]) == 0
    figures = json.loads(capsys.readouterr().out)
    completed([*COMMAND, "decompress", "scan.quinr", "-o", "back.nii.gz"], cwd=folder)
    original, back = (nibabel.load(name) for name in ("scan.nii.gz", "back.nii.gz"))
    np.testing.assert_allclose(back.affine, original.affine)
    assert back.get_data_dtype() == original.get_data_dtype()
    error = np.mean((np.asarray(back.dataobj, float) - np.asarray(original.dataobj, float)) ** 2)
    peak = float(ball().max()) - float(ball().min())
    assert figures["psnr"] == pytest.approx(10 * np.log10(peak**2 / error), abs=1e-6)
    assert figures["bytes"] == Path("scan.quinr").stat().st_size <= 600
    assert figures["bpp"] == pytest.approx(8 * figures["bytes"] / ball().size)
    capsys.readouterr()
    assert main(["inspect", "scan.quinr", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["kind"], shown["shape"], shown["value_type"]) == ("volume", [9, 12, 14, 1], "int16")
    assert main(["decompress", "scan.quinr", "-o", "back.npy"]) == 0
    np.testing.assert_array_equal(np.load("back.npy"), np.asarray(back.dataobj).T)
    assert main(["decompress", "scan.quinr", "-o", "back.png"]) == 2
    assert "volume is written as .nii.gz or .nii or .npy, not as .png" in capsys.readouterr().err


def test_latents_and_the_usual_names(capsys):
    latents = [
        "--config",
        "compress.yaml",
        *FEW,
        "--model.network.grids",
        "3",
        "--model.network.filters",
        "1",
    ]
    assert main(["compress", "scan.nii.gz", *latents]) == 0
    assert "bits/voxel, " in capsys.readouterr().out
    data = Path("scan.quinr").read_bytes()
    decoded = decode(data)
    assert (decoded.network.height, decoded.network.width) == (9 * 12, 14)
    assert decompress(data).shape == (9, 12, 14, 1)
    Path("scan.nii.gz").unlink()
    assert main(["decompress", "scan.quinr"]) == 0
    assert nibabel.load("scan.nii.gz").shape == (14, 12, 9)


def test_an_array_of_four_axes_is_one_volume_where_asked_for():
    np.save("a.npy", ball("float32", 2))
    few = {"model.network": "COIN", "model.network.layers": 1, "model.network.width": 4}
    flags = [f"--{name}={value}" for name, value in few.items()]
    assert main(["compress", "a.npy", "--data.volume", "true", *COORDINATES, *flags]) == 0
    assert decompress("a.quinr").shape == (14, 12, 9, 2)
    settings = {**few, "data.volume": True, "data.batch_size": 256, "trainer.max_steps": 2}
    data = compress(ball("float32", 2), config=["compress_coordinates.yaml", QUICK[1]], settings=settings)
    assert decode(data).spec.kind is VOLUME


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii"])
def test_from_standard_input(name, monkeypatch, capsysbinary):
    class Pipe(io.BytesIO):
        def isatty(self):
            return False

    nibabel.save(nibabel.load("scan.nii.gz"), "scan.nii")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(Path(name).read_bytes())))
    few = ["--model.network", "COIN", "--model.network.layers", "1", "--model.network.width", "4"]
    assert main(["compress", "-", *COORDINATES, *few]) == 0
    assert decompress(capsysbinary.readouterr().out).shape == (9, 12, 14, 1)


@pytest.mark.slow
def test_compare_with_a_twin_and_jpeg2000():
    fit = {
        "trainer": {
            "max_steps": 4,
            "callbacks": yaml.safe_load(Path(QUICK[1]).read_text())["trainer"]["callbacks"],
        },
        "data": {"init_args": {"steps_per_epoch": 4, "batch_size": 128}},
        "quantization": {"method": "nearest"},
        "model": {"network": {"init_args": {"sine_layers": 1}}},
    }
    comparison = {
        "folder": "compared",
        "data": {"class_path": "ImageDataModule"},
        "images": [{"path": "scan.nii.gz"}],
        "processes": 1,
        "methods": {
            "quINR": {"kind": "fit", "base": "compress_coordinates.yaml", "fit": fit, "points": {"one": {}}},
            "SIREN twin": {"kind": "twin", "of": "quINR", "layers": 2},
            "JPEG2000": {"kind": "jpeg2000", "settings": {"bits": 16}, "points": [2, 4]},
        },
    }
    Path("compare.yaml").write_text(yaml.safe_dump(comparison))
    assert main(["compare", "--config", "compare.yaml"]) == 0
    rows = json.loads(Path("compared/report/results.json").read_text())["rows"]
    assert {row["method"] for row in rows} == set(comparison["methods"])
    assert {row["image"] for row in rows} == {"scan"}
    assert "bits per voxel" in Path("compared/report/index.html").read_text()
    assert main(["compare", "--config", "compare.yaml", "--verify"]) == 0
