"""What a scan shows from another place, in a room of which every range is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quinr_pl.datamodules.scan_motion import found_motion
from quinr_pl.signals import RANGE_IMAGE, Motion, MovedView, ReferenceFrame, Scanner, SignalSpec

ROWS, COLUMNS = 32, 256
SCANNER = replace(Scanner.even(ROWS, 1000, -3000), heights=tuple([15] * 16 + [-10] * 16))
ROOM = np.array([[-14.0, -9.0, -1.7], [32.0, 11.0, 6.0]])


def turned(points: np.ndarray, motion: Motion) -> np.ndarray:
    """Vectors turned about x, then y, then z."""
    for axis, angle in enumerate(np.radians(np.array(motion.rotation) / 100)):
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        points = points.copy()
        points[..., a], points[..., b] = (
            np.cos(angle) * points[..., a] - np.sin(angle) * points[..., b],
            np.sin(angle) * points[..., a] + np.cos(angle) * points[..., b],
        )
    return points


def room_seen_after(motion: Motion) -> np.ndarray:
    """Ranges to the walls of the room, to its floor and to its ceiling: (rows, columns)."""
    elevation = np.radians(np.array(SCANNER.elevations) / 100)[:, None]
    azimuth = np.radians((SCANNER.start + SCANNER.turn * (np.arange(COLUMNS) + 0.5) / COLUMNS) / 100)
    ways = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.broadcast_to(np.sin(elevation), (ROWS, COLUMNS)),
        ],
        axis=-1,
    )
    starts = np.zeros((ROWS, 1, 3))
    starts[..., 2] = np.array(SCANNER.heights)[:, None] / 100
    begin = turned(starts, motion) + np.array(motion.translation) / 100
    way = turned(ways, motion)
    far = np.where(way > 0, ROOM[1] - begin, ROOM[0] - begin) / way
    along = far.min(axis=-1)[..., None]
    return np.linalg.norm(starts + along * ways, axis=-1)


def spec_after(ranges: np.ndarray) -> SignalSpec:
    spec = SignalSpec(RANGE_IMAGE, (ROWS, COLUMNS), 1, 0.0, 80.0, scanner=SCANNER)
    targets = spec.normalize(ranges).reshape(-1, 1)
    following = spec.following(ReferenceFrame(spec, None, lambda: targets))
    assert following is not None
    return following


MOTIONS = [Motion((30, -50, 120), (110, -20, 5)), Motion((0, 0, -200), (230, 10, 0)), Motion()]


@pytest.mark.parametrize("motion", MOTIONS)
def test_walls_stand_where_they_stood(motion):
    before, now = room_seen_after(Motion()), room_seen_after(motion)
    view = MovedView(SCANNER, COLUMNS)
    found, inside = view(before[..., None], motion.radians, motion.metres, 0.0, 80.0)
    error, unmoved = (np.quantile(np.abs(one - now)[inside], 0.8) for one in (found[..., 0], before))
    assert inside.mean() > 0.6
    assert error < 0.1
    assert motion == Motion() or unmoved > 5 * error


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_motion_is_found(motion):
    spec, now = spec_after(room_seen_after(Motion())), room_seen_after(motion)
    now[:, 40:60] = 0.0  # no return
    now[10:20, 100:110] = 3.0  # something that was not there
    found = found_motion(spec, now)
    assert np.abs(np.subtract(found.translation, motion.translation)).max() <= 4
    assert np.abs(np.subtract(found.rotation, motion.rotation)).max() <= 12


def test_what_shows_nothing_leads_nowhere():
    noise = np.random.default_rng(0).uniform(2, 60, (ROWS, COLUMNS))
    found = found_motion(spec_after(noise), room_seen_after(Motion()))
    assert np.abs(found.translation).max() < 5000
