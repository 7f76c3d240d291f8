from __future__ import annotations

import numpy as np
import pytest

from quinr_pl.errors import QuinrError
from quinr_pl.signals import IMAGE_8, RANGE_IMAGE, Scanner, SignalSpec

SECTORS = [(18000, -36000), (-4500, 9000), (17000, 36000), (9000, -4500), (13500, 9000)]


@pytest.mark.parametrize(("start", "turn"), SECTORS)
def test_points_lie_on_their_rays_at_their_distance(start, turn):
    scanner = Scanner((200, -150, -2400), (20, -5, 12), start, turn)
    ranges = np.random.default_rng(0).uniform(1, 80, (3, 8)).astype(np.float32)
    returned = np.ones((3, 8), bool)
    returned[1, 2:5] = False
    points = scanner.points(ranges, returned).astype(float)
    assert points.shape == (21, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), ranges[returned], rtol=1e-6)
    expected = iter(points)
    for row in range(3):
        for column in np.flatnonzero(returned[row]):
            x, y, z = next(expected)
            azimuth = np.radians((start + turn * (column + 0.5) / 8) / 100)
            elevation, height = np.radians(scanner.elevations[row] / 100), scanner.heights[row] / 100
            # How far the point is from the line that starts at the beam's height.
            ray = [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ]
            assert np.linalg.norm(np.cross([x, y, z - height], ray)) < 1e-4
            assert np.dot([x, y, z - height], ray) > 0


@pytest.mark.parametrize(("start", "turn"), SECTORS)
def test_a_point_lies_in_the_column_that_it_came_from(start, turn):
    scanner = Scanner((0,), (0,), start, turn)
    points = scanner.points(np.full((1, 36), 5.0), np.ones((1, 36), bool)).astype(float)
    columns = scanner.columns(np.arctan2(points[:, 1], points[:, 0]), 36)
    np.testing.assert_array_equal(columns, np.arange(36))


def test_the_range_image_of_points_is_where_they_came_from():
    scanner = Scanner((200, -150, -2400), (20, -5, 12), 4500, -9000)
    ranges = np.random.default_rng(0).uniform(5, 90, (3, 8)).astype(np.float32)
    ranges[1, 2:5] = 0
    points = scanner.points(ranges, ranges > 0)
    farther = np.concatenate([1.01 * points, points, 1.02 * points]).astype(np.float32)
    np.testing.assert_allclose(scanner.ranges(farther, 8, 80.0), np.minimum(ranges, 80), rtol=1e-5)


def test_firings_lie_between_neighbours_on_one_surface():
    scanner = Scanner((0,), (0,), 0, 9000, firings=2)
    ranges = np.array([[10.0, 10.4, 20.0, 0.0, 21.0]], np.float32)
    points = scanner.points(ranges, ranges > 0).astype(float)
    azimuths = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    columns = np.repeat([0, 1, 2, 4], 2) + np.tile([0.25, 0.75], 4)
    np.testing.assert_allclose(azimuths, 18 * columns, atol=1e-4)
    distances = [10, 10.1, 10.3, 10.4, 20, 20, 21, 21]
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), distances, rtol=1e-6)


def test_what_lies_beside_a_sector_goes_to_its_nearer_edge():
    scanner = Scanner((0,), (0,), 4500, -9000)
    azimuths = np.radians([46.0, 60.0, -60.0, 179.0, -179.0])
    np.testing.assert_array_equal(scanner.columns(azimuths, 10), [0, 0, 9, 0, 9])


def test_even_rows_are_the_middles_of_a_field_of_view():
    assert Scanner.even(4, 300, -2500).elevations == (-50, -750, -1450, -2150)
    assert Scanner.even(2, 0, -1).elevations == (0, -1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 1), (0,)), "2 elevations and 1 heights"),
        (((9001,), (0,)), "beyond 90 degrees"),
        (((0,), (10001,)), "or 100 metres"),
        (((0,), (0,), 0, 0), "of no turn"),
        (((0,), (0,), 0, 100, 0, 0), "with 0 firings"),
        (((0,), (0,), 0, 100, None, 2), "with 2 firings"),
        (((0,), (0,), 0, 36001), "more than a full one"),
    ],
)
def test_rays_that_no_scanner_has(arguments, message):
    with pytest.raises(QuinrError, match=message):
        Scanner(*arguments)


def test_a_scanner_belongs_to_a_range_image_of_as_many_rows():
    scanner = Scanner.even(2, 300, -2500)
    values = np.array([[5.0, 0.0, 7.0], [0.0, 0.0, 3.0]])[..., None]
    assert len(SignalSpec(RANGE_IMAGE, (2, 3), 1, 0.0, 80.0, scanner=scanner).points(values)) == 3
    assert SignalSpec(RANGE_IMAGE, (2, 3), 1, 0.0, 80.0).points(values) is None
    for kind, shape in [(RANGE_IMAGE, (3, 3)), (IMAGE_8, (2, 3))]:
        with pytest.raises(QuinrError, match="scanner of 2 beams: does not belong"):
            SignalSpec(kind, shape, 1, 0.0, 80.0, scanner=scanner)
