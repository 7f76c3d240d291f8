from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from quinr_pl.datamodules import KittiRangeImageDataModule, SyntheticScanDataModule
from quinr_pl.datamodules.range_image import Projection, project
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError


def slow_projection(points, height, width, fov_up, fov_down, peak):
    """Point by point, from the text of the RangeNet++ paper."""
    image = np.zeros((height, width))
    up, down = math.radians(fov_up), math.radians(fov_down)
    for x, y, z in points[:, :3].astype(float).tolist():
        distance = math.sqrt(x * x + y * y + z * z)
        if distance == 0:
            continue
        u = 0.5 * (-math.atan2(y, x) / math.pi + 1) * width
        v = (1 - (math.asin(z / distance) + abs(down)) / (up + abs(down))) * height
        u = max(0, min(width - 1, math.floor(u)))
        v = max(0, min(height - 1, math.floor(v)))
        if image[v, u] == 0 or distance < image[v, u]:
            image[v, u] = distance
    return np.minimum(image, peak)


@pytest.mark.parametrize(("height", "width", "peak"), [(64, 1024, 80.0), (7, 33, 20.0), (1, 1, 80.0)])
def test_equals_slow_projection(height, width, peak):
    points = np.random.default_rng(0).normal(0, [20, 20, 2, 1], (3000, 4)).astype(np.float32)
    points[0] = 0  # no direction
    image, valid = project(points, Projection(height=height, width=width, peak=peak))
    expected = slow_projection(points, height, width, 3.0, -25.0, peak)
    assert (np.abs(image - expected) > 1e-5).sum() <= 1  # a point on the edge of a pixel may round away
    np.testing.assert_array_equal(valid, image > 0)


def test_beam_order_puts_each_turn_in_its_row():
    angles = np.radians(np.arange(0.5, 360, 1.0))
    turns = [np.stack([r * np.cos(angles), r * np.sin(angles), 0 * angles], 1) for r in (5.0, 6.0, 7.0)]
    image, valid = project(
        np.concatenate(turns).astype(np.float32), Projection("beam_order", height=4, width=360)
    )
    np.testing.assert_allclose(image, np.repeat([[5.0], [6.0], [7.0], [0.0]], 360, 1), rtol=1e-6)
    np.testing.assert_array_equal(valid.sum(1), [360, 360, 360, 0])


def test_points_that_the_image_changes_are_counted(capsys):
    points = np.zeros((6, 4), np.float32)
    points[:, 0] = [10, 90, 100, 10, 10, 79]  # two beyond the peak
    points[:, 2] = [0, 0, 0, 5, -9, 0]  # one above 3 degrees, one below -25
    project(points, Projection(), "six")
    said = capsys.readouterr().err
    assert "six: of 6 points 2 lie beyond --data.peak 80 and are cut to it, 2 lie outside of" in said
    project(points[[0, 5]], Projection(), "two")
    assert capsys.readouterr().err == ""
    project(points[:2], Projection("beam_order", height=1), "row")
    assert "row: of 2 points 1 lie beyond --data.peak 80 and are cut to it\n" in capsys.readouterr().err


def test_a_pixel_of_two_firings_lies_between_the_points_of_its_surface():
    layout = Projection("field_of_view", 1, 4, 10.0, -10.0)
    azimuth = np.radians([100.0, 120.0, 130.0, 10.0])  # three points in one quarter, one in another
    distance = np.array([10.0, 10.1, 12.0, 7.0])
    points = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), 0 * azimuth], 1)
    ranges = {}
    for firings in (1, 2):
        ranges[firings], valid = project(points.astype(np.float32), replace(layout, firings=firings))
        assert valid.sum() == 2
    np.testing.assert_allclose(np.sort(ranges[1], axis=None), [0, 0, 7, 10], rtol=1e-6)
    np.testing.assert_allclose(np.sort(ranges[2], axis=None), [0, 0, 7, 10.05], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "spherical"}, "field_of_view, beam_order"),
        ({"height": 0}, "--data.height 0"),
        ({"width": -1}, "--data.width -1"),
        ({"fov_up": -30.0}, "fov_down < fov_up"),
        ({"peak": 0.0}, "--data.peak 0: must lie between 0 and 100000 metres"),
        ({"peak": 1e9}, "--data.peak 1e.09: must lie"),
        ({"firings": 17}, "--data.firings 17: must lie between 1 and 16"),
        ({"peak": float("nan")}, "--data.peak nan"),
    ],
)
def test_bad_projections(arguments, message):
    with pytest.raises(QuinrError, match=message):
        Projection(**arguments)


def test_an_image_of_more_pixels_than_any_scan_has_points_is_refused():
    points = np.array([[10, 0, 0], [0, 9, 1]], np.float32)
    with pytest.raises(QuinrError, match=r"--data.height 64 and --data.width 100000000: more than 16777216"):
        project(points, Projection(width=10**8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes is no scan"),
        (b"x" * 17, "text, not a scan"),
        (np.ones(6, "<f4").tobytes(), "24 bytes do not look like"),
        (np.array([1, 1, 1, 0, np.nan, 0, 0, 0], "<f4").tobytes(), "point 1 is not finite"),
        (np.array([np.inf, 1, 1, 0], "<f4").tobytes(), "point 0 is not finite"),
    ],
)
def test_malformed_scans(tmp_path, content, message):
    folder = tmp_path / "kitti/sequences/03/velodyne"
    folder.mkdir(parents=True)
    (folder / "000012.bin").write_bytes(content)
    data = KittiRangeImageDataModule("03", "12", str(tmp_path))
    with pytest.raises(QuinrError, match=message) as caught:
        data.setup()
    assert "000012.bin" in str(caught.value)


def test_scans_without_a_direction_or_far_away():
    with pytest.raises(QuinrError, match="nothing to project"):
        project(np.zeros((3, 4), np.float32), Projection())
    image, _ = project(np.array([[3e38, 3e38, 0, 0]], np.float32), Projection())
    assert image.max() == 80


def test_missing_scan(tmp_path, monkeypatch):
    with pytest.raises(QuinrError, match=r"kitti_sample\.yaml"):
        KittiRangeImageDataModule(root=str(tmp_path)).setup()
    monkeypatch.delenv("QUINR_DATA", raising=False)
    with pytest.raises(QuinrError, match=r"--data\.root or QUINR_DATA"):
        KittiRangeImageDataModule().setup()
    with pytest.raises(QuinrError, match=r"--data\.frame x"):
        KittiRangeImageDataModule(frame="x")


def test_official_layout_without_the_kitti_folder(tmp_path):
    folder = tmp_path / "sequences/00/velodyne"
    folder.mkdir(parents=True)
    street_scan(1, azimuths=64).tofile(folder / "000000.bin")
    data = KittiRangeImageDataModule(root=str(tmp_path))
    data.setup()
    assert data.name == "00-000000"
    assert (data.valid == (data.values[..., 0] > 0)).all()


def test_street_is_seeded_and_plausible():
    first, again, other = (street_scan(scene, azimuths=100) for scene in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    data = SyntheticScanDataModule()
    data.setup()
    assert 0.8 < data.valid.mean() < 1
    assert data.channels == data.spec.channels == 1


def test_street_ground_lies_below_the_scanner():
    points = street_scan(0, noise=0.0, dropout=0.0, azimuths=50)
    lowest = points[-50:]  # the last beam meets nothing but the road
    np.testing.assert_allclose(lowest[:, 2], -1.73, atol=1e-5)
    assert (points[:, 2] > -1.7301).all()


@pytest.mark.data
def test_kitti_scan(data_root):
    data = KittiRangeImageDataModule(root=str(data_root))
    data.setup()
    assert 1 - data.valid.mean() == pytest.approx(0.21, abs=0.005)  # as measured before this code was written
    ordered = KittiRangeImageDataModule(root=str(data_root), projection="beam_order")
    ordered.setup()
    assert ordered.valid.mean() > data.valid.mean() + 0.1
