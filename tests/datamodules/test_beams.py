from __future__ import annotations

import numpy as np
import pytest

from quinr_pl.datamodules.beams import find_beams
from quinr_pl.datamodules.range_image import Projection, project
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError

BEAMS, AZIMUTHS = 64, 300


def street(wobble: float, beams: int = BEAMS) -> tuple[np.ndarray, np.ndarray]:
    """A scan beam after beam from the top, its elevations off by some degrees at random, and its beams."""
    points = street_scan(0, beams=beams, azimuths=AZIMUTHS)
    level = np.hypot(points[:, 0], points[:, 1])
    elevation = np.degrees(np.arctan2(points[:, 2], level))
    beam = np.rint((2.0 - elevation) / (26.8 / (beams - 1))).astype(int)
    elevation += np.random.default_rng(1).normal(0, wobble, len(points))
    points[:, 2] = level * np.tan(np.radians(elevation))
    return points, beam


def azimuth(points: np.ndarray) -> np.ndarray:
    return np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)


def beam_after_beam(points: np.ndarray, beam: np.ndarray, direction: int = 1, start: float = 0.0):
    return np.lexsort((direction * ((azimuth(points) - start) % (2 * np.pi)), beam))


def firing_after_firing(points: np.ndarray, beam: np.ndarray, down: int = 1):
    return np.lexsort((down * beam, np.rint(azimuth(points) / (2 * np.pi) * AZIMUTHS - 0.5)))


def sector(points: np.ndarray, beam: np.ndarray, first: float, last: float, direction: int = 1):
    order = beam_after_beam(points, beam, direction)
    return order[(azimuth(points)[order] - first) % (2 * np.pi) < (last - first)]


ORDERS = {
    "as it is": lambda points, beam: np.arange(len(points)),
    "reversed": lambda points, beam: np.arange(len(points))[::-1],
    "clockwise": lambda points, beam: beam_after_beam(points, beam, -1),
    "from the bottom": lambda points, beam: beam_after_beam(points, -beam),
    "from the back": lambda points, beam: beam_after_beam(points, beam, start=np.pi),
    "from elsewhere": lambda points, beam: beam_after_beam(points, beam, start=1.0),
    "clockwise from elsewhere": lambda points, beam: beam_after_beam(points, beam, -1, 1.0),
    "front": lambda points, beam: sector(points, beam, -0.7, 0.7),
    "left": lambda points, beam: sector(points, beam, 1.0, 2.0),
    "left, clockwise": lambda points, beam: sector(points, beam, 1.0, 2.0, -1),
    "back": lambda points, beam: sector(points, beam, 2.0, 4.3),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wobble", [0.0, 0.1])
def test_beam_after_beam_in_any_direction_and_sector(order, wobble):
    points, beam = street(wobble)
    chosen = ORDERS[order](points, beam)
    found = find_beams(points[chosen])
    assert found is not None
    # Where beams start is known to a step: a point there may go to the beam beside its own.
    assert np.sum(found != beam[chosen]) <= (BEAMS if "elsewhere" in order else 0)
    _, valid = project(points[chosen], Projection("beam_order", width=AZIMUTHS, peak=200))
    column = (np.floor((1 - azimuth(points[chosen]) / np.pi) / 2 * AZIMUTHS) % AZIMUTHS).astype(int)
    pixels = len(set(zip(beam[chosen].tolist(), column.tolist(), strict=True)))
    assert abs(int(valid.sum()) - pixels) <= np.sum(found != beam[chosen])


@pytest.mark.parametrize("beams", [16, 32, 64])
@pytest.mark.parametrize("down", [1, -1])
def test_firing_after_firing(beams, down):
    points, beam = street(0.0, beams)
    chosen = firing_after_firing(points, beam, down)
    found = find_beams(points[chosen])
    np.testing.assert_array_equal(found, beam[chosen])


@pytest.mark.parametrize("down", [1, -1])
def test_firings_of_beams_that_wobble_keep_their_points(down):
    """Which beams lack a return is then not known for sure, but every point of a firing has its own row."""
    points, beam = street(0.1)
    chosen = firing_after_firing(points, beam, down)
    found = find_beams(points[chosen])
    assert found is not None
    assert np.abs(found - beam[chosen]).max() <= 3
    assert np.mean(found == beam[chosen]) > 0.8
    firing = np.rint(azimuth(points[chosen]) / (2 * np.pi) * AZIMUTHS - 0.5)
    assert len(np.unique(firing * 64 + found)) == len(points)


def test_shuffled_points_of_steady_beams():
    points, beam = street(0.0)
    chosen = np.random.default_rng(0).permutation(len(points))
    np.testing.assert_array_equal(find_beams(points[chosen]), beam[chosen])


@pytest.mark.parametrize("from_the_top", [True, False])
def test_a_column_of_beam_numbers_is_believed(from_the_top):
    points, beam = street(0.1)
    number = beam if from_the_top else 63 - beam
    strength = np.random.default_rng(2).integers(0, 256, len(points))
    chosen = np.random.default_rng(0).permutation(len(points))
    five = np.column_stack([points[:, :3], strength, number]).astype(np.float32)
    np.testing.assert_array_equal(find_beams(five[chosen]), beam[chosen])


def test_points_in_no_order_are_refused():
    points, _ = street(0.1)
    np.random.default_rng(0).shuffle(points)
    with pytest.raises(QuinrError, match=r"beam_order finds no beams .*; take field_of_view"):
        project(points, Projection("beam_order"))


@pytest.mark.parametrize("height", [31, 64])
def test_other_numbers_of_rows_are_refused_with_the_right_one(height):
    points, _ = street(0.0, beams=32)
    with pytest.raises(QuinrError, match=f"finds 32 beams for --data.height {height}; set --data.height 32"):
        project(points, Projection("beam_order", height=height))


def test_jitter_over_the_start_is_no_turn():
    degrees = np.array([1, 120, 240, 359, 1, 359, 2, 120, 240, 358, 3])
    angles, beam = np.radians(degrees), np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2])
    points = np.stack([np.cos(angles), np.sin(angles), -0.1 * beam + 0.001 * degrees / 360], 1)
    np.testing.assert_array_equal(find_beams(points), beam)


@pytest.mark.data
@pytest.mark.parametrize(("direction", "first", "last"), [(-1, 0.0, 7.0), (1, -0.7, 0.7), (-1, 1.0, 2.0)])
def test_kitti_scan_in_other_orders(data_root, direction, first, last):
    path = data_root / "kitti/sequences/00/velodyne/000000.bin"
    points = np.fromfile(path, "<f4").reshape(-1, 4)
    beam = find_beams(points)
    assert beam is not None
    chosen = sector(points, beam, first, last, direction)
    found = find_beams(points[chosen])
    assert np.mean(found == beam[chosen]) > 0.9999
