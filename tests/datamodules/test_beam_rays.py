"""Points that come back from the range image of a scan."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from quinr_pl.datamodules.beam_rays import beams_of
from quinr_pl.datamodules.range_image import Projection, range_image_signal
from quinr_pl.datamodules.synthetic_scan import street_scan


def two_blocks(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Points of four beams that start at two heights, at ranges of 3 to 50 metres."""
    generator = np.random.default_rng(0)
    rows = np.repeat(np.arange(4), count)
    elevation = np.radians([2.0, -3.33, -9.5, -20.0])[rows]
    along, azimuth = generator.uniform(3, 50, 4 * count), generator.uniform(-np.pi, np.pi, 4 * count)
    level = along * np.cos(elevation)
    z = np.array([0.21, 0.2, -0.11, -0.13])[rows] + along * np.sin(elevation)
    noise = generator.normal(0, 0.005, z.shape)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), z + noise], 1), rows


def test_elevation_and_height_of_beams_that_start_apart():
    scanner = beams_of(*two_blocks(), 4)
    np.testing.assert_allclose(scanner.elevations, [200, -333, -950, -2000], atol=2)
    np.testing.assert_allclose(scanner.heights, [21, 20, -11, -13], atol=1)


def test_rows_without_points_lie_between_or_beyond():
    xyz, rows = two_blocks()
    kept = rows != 1
    scanner = beams_of(xyz[kept], np.where(rows == 3, 3, rows)[kept], 6)
    assert scanner.elevations[1] == pytest.approx((200 - 950) / 2, abs=3)
    assert scanner.elevations[4:] == (scanner.elevations[3],) * 2
    assert scanner.heights[1] == 0


def test_points_of_one_distance_tell_an_elevation_alone():
    azimuth = np.linspace(0, 6, 50)
    xyz = np.stack([10 * np.cos(azimuth), 10 * np.sin(azimuth), np.full(50, -1.0)], 1)
    scanner = beams_of(xyz, np.zeros(50, int), 1)
    height, slope = scanner.heights[0] / 100, np.tan(np.radians(scanner.elevations[0] / 100))
    assert height + 10 * slope == pytest.approx(-1.0, abs=0.01)
    assert abs(height) <= 2.0


@pytest.mark.parametrize("projection", [Projection("beam_order", peak=120), Projection(peak=120)])
def test_points_come_back_within_a_pixel(projection):
    points = street_scan(3, noise=0.0)
    signal = range_image_signal(points, projection, "street")
    back = signal.spec.points(signal.values).astype(float)
    assert len(back) == signal.valid.sum()
    distance, nearest = cKDTree(points[:, :3]).query(back)
    reach = np.linalg.norm(back, axis=1)
    across = np.pi / projection.width
    if projection.method == "field_of_view":
        across += np.radians(28 / 64 / 2)
    assert (distance <= reach * (across + 1e-4) * 1.01 + 0.01).all()
    np.testing.assert_allclose(np.linalg.norm(points[nearest, :3], axis=1), reach, rtol=0.2, atol=0.5)
