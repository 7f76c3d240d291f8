"""Rows, columns and sector of the range image that suits a scan."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from quinr_pl.datamodules.range_image import Projection, place, range_image_signal
from quinr_pl.datamodules.synthetic_scan import SyntheticScanDataModule, street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Scanner

AUTO = Projection("auto", None, None, None, None, peak=120)
AZIMUTHS = 512


SENSORS = {
    "VLP-16": np.linspace(15, -15, 16),
    "HDL-32E": np.linspace(10.67, -30.67, 32),
    "OS1-128": np.linspace(22.5, -22.5, 128),
    # As of a scanner with most beams near the horizon.
    "uneven": np.concatenate(
        [np.linspace(15, 2, 24), np.linspace(1.8, -5.8, 77), np.linspace(-6.2, -25, 27)]
    ),
}
"""Elevations of beams in degrees."""


def street(beams: int | np.ndarray = 32) -> np.ndarray:
    return street_scan(1, noise=0.0, dropout=0.05, beams=beams, azimuths=AZIMUTHS)


def back(points: np.ndarray, projection: Projection = AUTO) -> tuple[np.ndarray, Scanner, tuple[int, ...]]:
    signal = range_image_signal(points, projection, "street")
    return signal.spec.points(signal.values), signal.spec.scanner, signal.spec.shape


@pytest.mark.parametrize("beams", [16, 32, 64, 128])
def test_scanners_of_any_number_of_beams_come_back_whole(beams):
    points = street(beams)
    found, scanner, shape = back(points)
    assert shape == (beams, AZIMUTHS // 2)
    np.testing.assert_allclose(scanner.elevations, np.linspace(200, -2480, beams), atol=2)
    # Each point has a neighbour within the column of two firings that it lies in.
    away = cKDTree(found).query(points[:, :3])[0]
    reach = np.linalg.norm(points[:, :3], axis=1)
    assert np.mean(away < 2 * reach * np.pi / shape[1] + 0.05) > 0.97
    every, _, finer = back(points, Projection("auto", None, AZIMUTHS, None, None, peak=120))
    assert finer == (beams, AZIMUTHS)
    assert len(every) == len(points)
    away = cKDTree(every).query(points[:, :3])[0]
    assert (away < reach * (np.pi / AZIMUTHS + 4e-4) + 0.01).all()


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("columns", [AZIMUTHS, 2048])
def test_scans_of_known_sensors_come_back_whole(sensor, columns):
    points = street(SENSORS[sensor])
    found, scanner, shape = back(points, Projection("auto", None, columns, None, None, peak=120))
    assert shape == (len(SENSORS[sensor]), columns)
    np.testing.assert_allclose(np.array(scanner.elevations) / 100, SENSORS[sensor], atol=0.03)
    assert len(found) == len(points)
    away = cKDTree(found).query(points[:, :3])[0]
    reach = np.linalg.norm(points[:, :3], axis=1)
    assert (away < reach * (np.pi / columns + 6e-4) + 0.01).all()


@pytest.mark.parametrize(("start", "stop"), [(-45, 45), (30, 120), (135, 225), (-80, -170)])
def test_a_cropped_scan_fills_its_image(start, stop):
    points = street()
    azimuth = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    low, high = sorted((start, stop))
    inside = (azimuth - low) % 360 < high - low
    found, scanner, shape = back(points[inside])
    assert shape == (32, 64)
    assert abs(scanner.turn) == pytest.approx(9000, abs=150)
    off = np.degrees(np.arctan2(found[:, 1], found[:, 0])) - (low + high) / 2
    assert np.abs((off + 180) % 360 - 180).max() < 46
    away = cKDTree(found).query(points[inside, :3])[0]
    reach = np.linalg.norm(points[inside, :3], axis=1)
    assert np.mean(away < 2 * reach * np.radians(90) / 64 + 0.05) > 0.97


def test_any_order_of_the_points_gives_one_image():
    points = street(16)
    expected = place(points, AUTO, "beam after beam")
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    numbered = np.column_stack([points[:, :3], expected.row]).astype(np.float32)
    orders = {
        "clockwise": np.lexsort((-azimuth, expected.row)),
        "firing after firing": np.lexsort((expected.row, np.round(azimuth * AZIMUTHS / 2 / np.pi))),
    }
    for name, order in orders.items():
        found = place(numbered[order], AUTO, name)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.ranges()[0], expected.ranges()[0])
        assert found.scanner == expected.scanner


def test_without_beams_the_field_of_view_is_that_of_the_points():
    generator = np.random.default_rng(0)
    points = generator.normal(0, [20, 20, 4], (6400, 3)).astype(np.float32)
    placed = place(points, AUTO, "cloud")
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    assert placed.shape == (64, 64)
    step = (elevation.max() - elevation.min()) / 64
    assert placed.scanner.elevations[0] / 100 == pytest.approx(elevation.max() - step / 2, abs=0.2)
    assert placed.scanner.elevations[-1] / 100 == pytest.approx(elevation.min() + step / 2, abs=0.2)


def test_what_is_said_holds(capsys):
    points = street(16)
    assert place(points, Projection("auto", 40, 100, None, None), "rows").shape == (40, 100)
    even = place(points, Projection("auto", None, None, 10.0, -30.0), "field")
    assert even.scanner.elevations == Scanner.even(64, 1000, -3000).elevations
    with pytest.raises(QuinrError, match=r"finds 16 beams for --data\.height 40"):
        place(points, Projection("beam_order", 40, None, None, None), "rows")
    partly = place(points, Projection("field_of_view", None, None, None, -5.0), "partly")
    assert partly.scanner.elevations[-1] == pytest.approx(-500, abs=10)
    assert "to --data.fov_up 2.1 and go to the edge rows" in capsys.readouterr().err


def test_as_many_points_come_back_as_columns_have_firings():
    layout = {"projection": "beam_order", "height": 64, "width": 1000, "peak": 120.0}
    distances = {}
    scan = street_scan(0)
    for firings in (1, 2):
        signal = SyntheticScanDataModule(0, **layout, firings=firings).read()
        points = signal.spec.points(signal.values)
        assert len(points) == firings * signal.valid.sum()
        distances[firings] = cKDTree(points).query(scan[:, :3])[0].mean()
    assert distances[2] < 0.8 * distances[1]
