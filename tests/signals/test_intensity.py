"""Intensities from scans to range images, files and points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch

from quinr_pl.codec import compress, decode, encode
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.codec.file.encoder import mask_bytes
from quinr_pl.codec.sections.intensity import INTENSITY
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.point_file import read_points
from quinr_pl.datamodules.range_image import Projection, range_image_signal
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import rate_and_distortion
from quinr_pl.network import COIN
from quinr_pl.signals import IMAGE_8, RANGE_IMAGE, Intensity, SignalSpec
from quinr_pl.signals.point_files import write_points

LAYOUT = Projection("auto", None, None, None, None, intensity=0.1)


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    return street_scan(0, azimuths=120)


def test_intensities_are_those_of_the_nearest_points(scan):
    signal = range_image_signal(scan, LAYOUT, "street", scan[:, 3])
    assert signal.values.shape == (*signal.spec.shape, 2)
    assert signal.values[..., 1].max() <= 0.1 * 80
    distance = np.linalg.norm(scan[:, :3].astype(float), axis=1)
    intensities = signal.spec.intensities(signal.values)
    ranges = signal.values[..., 0][signal.valid]
    assert len(intensities) == len(ranges) > 1000
    for near, intensity in zip(ranges[ranges < 80], intensities[ranges < 80], strict=True):
        candidates = scan[np.abs(distance - near) < 1e-4, 3]
        assert np.abs(candidates - intensity).min() < 1e-5


@pytest.mark.parametrize(("strongest", "scale"), [(0.9, 1), (200, 255), (3000, 65535), (70000.5, 70001)])
def test_intensities_keep_their_units(strongest, scale):
    given = np.linspace(0, strongest, 50).astype(np.float32)
    intensity = Intensity.of(given, 0.25)
    assert intensity == Intensity(scale, 25)
    targets = intensity.to_targets(given)
    assert targets.max() <= 0.25
    np.testing.assert_allclose(intensity.of_targets(targets), given, rtol=1e-6)


def test_a_file_says_what_its_second_channel_is(scan):
    signal = range_image_signal(scan, LAYOUT, "street", 255 * scan[:, 3])
    torch.manual_seed(0)
    encoded = compress(COIN(out_features=2, layers=2, width=6), signal.spec)
    decoded = decode(encoded.data)
    assert decoded.spec.intensity == Intensity(255, 10)
    assert encode(decoded.quantized, decoded.spec).data == encoded.data
    known = sum(encoded.sections[name] for name in ("mask", "scanner", "intensity"))
    assert known < mask_bytes(decoded.spec) <= known + 9
    values, points = decoded.reconstruct(), decoded.points()
    assert points.shape == ((values[..., 0] > 0).sum(), 4)
    shares = np.clip(values[..., 1][values[..., 0] > 0] / 80 / 0.1, 0, 1)
    np.testing.assert_allclose(points[:, 3], 255 * shares, rtol=1e-5, atol=1e-4)
    figures = rate_and_distortion(len(encoded.data), signal.values, values, signal.spec, signal.valid)
    errors = (values[..., 1] - signal.values[..., 1])[signal.valid] / 8
    expected = -10 * np.log10(np.mean(errors.astype(float) ** 2))
    assert figures["psnr_intensity"] == pytest.approx(expected, abs=1e-3)
    metres = (values[..., 0] - signal.values[..., 0])[signal.valid]
    assert figures["rmse_valid"] == pytest.approx(np.sqrt(np.mean(metres.astype(float) ** 2)))


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x00\x0a", b"\x01\x65", b"\x01\x00", b"\x01\x0a\x00"])
def test_malformed_sections(payload):
    content = type("Content", (), {"spec": SignalSpec(RANGE_IMAGE, (2, 3), 2, 0.0, 80.0)})()
    with pytest.raises(BitstreamError, match="intensity"):
        INTENSITY.read(payload, content)


def test_points_with_intensities_in_every_format(tmp_path, scan):
    points, intensities = scan[:, :3].copy(), 100 * scan[:, 3]
    for suffix in (".npy", ".bin", ".ply", ".pcd"):
        write_points(points, tmp_path / f"scan{suffix}", intensities)
    table = np.column_stack([points, intensities])
    np.testing.assert_array_equal(np.load(tmp_path / "scan.npy"), table)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "scan.bin", "<f4").reshape(-1, 4), table)
    vertices = plyfile.PlyData.read(str(tmp_path / "scan.ply"))["vertex"]
    np.testing.assert_array_equal(vertices["intensity"], intensities)
    assert (
        b"FIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\n"
        in (tmp_path / "scan.pcd").read_bytes()
    )
    for name in ("scan.ply", "scan.pcd"):
        found, strengths = read_points(tmp_path / name)
        np.testing.assert_array_equal(found, points)
        np.testing.assert_array_equal(strengths, intensities)


def test_the_same_signal_from_every_format(tmp_path, scan):
    laspy = pytest.importorskip("laspy")
    points, intensities = scan[:, :3].copy(), np.rint(255 * scan[:, 3]).astype(np.float32)
    for suffix in (".bin", ".ply", ".pcd"):
        write_points(points, tmp_path / f"scan{suffix}", intensities)
    las = laspy.LasData(laspy.LasHeader(point_format=0, version="1.2"))
    las.header.scales = [1e-6] * 3
    las.x, las.y, las.z = points.astype(float).T
    las.intensity = intensities.astype(np.uint16)
    las.write(str(tmp_path / "scan.las"))
    signals = {}
    for suffix in (".bin", ".ply", ".pcd", ".las"):
        data = ImageDataModule(str(tmp_path / f"scan{suffix}"), intensity=0.2)
        assert data.channels == 2
        data.setup()
        signals[suffix] = data
    for data in signals.values():
        assert data.spec.intensity == Intensity(255, 20)
    for suffix in (".ply", ".pcd"):
        np.testing.assert_array_equal(signals[suffix].values, signals[".bin"].values)
    # Coordinates of .las are whole micrometres: rays between two columns go to either.
    same = signals[".las"].values[..., 1] == signals[".bin"].values[..., 1]
    assert same.mean() > 0.9


def test_firings_have_the_intensity_of_their_pixel(scan):
    one = range_image_signal(scan, LAYOUT, "street", scan[:, 3])
    two = range_image_signal(scan, replace(LAYOUT, firings=2), "street", scan[:, 3])
    np.testing.assert_array_equal(two.values[..., 1], one.values[..., 1])
    np.testing.assert_array_equal(two.valid, one.valid)
    behind = two.values[two.valid, 0] / one.values[two.valid, 0]  # between the nearest point and its surface
    assert behind.min() > 1 - 1e-6
    assert behind.max() < 1.05
    assert len(two.spec.points(two.values)) == 2 * len(one.spec.points(one.values))
    intensities = one.spec.intensities(one.values)
    np.testing.assert_array_equal(two.spec.intensities(two.values), np.repeat(intensities, 2))


def test_what_has_no_intensities(tmp_path):
    points = street_scan(0, azimuths=60)[:, :3]
    np.save(tmp_path / "scan.npy", points)
    data = ImageDataModule(str(tmp_path / "scan.npy"), points=True, intensity=0.1)
    with pytest.raises(QuinrError, match=r"scan\.npy: has no intensities; leave --data\.intensity out"):
        data.setup()
    for weight in (-0.1, 1.5, 0.001):
        with pytest.raises(QuinrError, match=r"--data\.intensity .*: from 0\.01 to 1, or 0 for none"):
            ImageDataModule("scan.npy", intensity=weight)
    for kind, channels in ((RANGE_IMAGE, 1), (IMAGE_8, 2)):
        with pytest.raises(QuinrError, match="intensity: does not belong"):
            SignalSpec(kind, (2, 3), channels, 0.0, 80.0, intensity=Intensity(1, 10))


def test_the_picture_of_a_scan_with_intensities(tmp_path, scan):
    from PIL import Image

    from quinr_pl.signals import write_signal

    signal = range_image_signal(scan, LAYOUT, "street", scan[:, 3])
    write_signal(signal.values, signal.spec, tmp_path / "picture.png")
    shown = np.asarray(Image.open(tmp_path / "picture.png"))
    np.testing.assert_allclose(shown / 256, signal.values[..., 0], atol=1 / 500)
    assert Path(tmp_path / "picture.png").stat().st_size > 0
