from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.edges import with_best_edges
from quinr_pl.signals import RANGE_IMAGE, Scanner, SignalSpec
from quinr_pl.signals.scanner import between_surfaces

COLUMNS = 360


def walls() -> np.ndarray:
    """A range image, (4, COLUMNS, 1), of walls that are near and far in turn."""
    near = (np.arange(COLUMNS) // 20) % 2 == 0
    return np.broadcast_to(np.where(near, 5.0, 12.0), (4, COLUMNS))[..., None].astype(np.float32)


def smoothed(values: np.ndarray) -> np.ndarray:
    """What a codec of few bits makes of them: slopes of two pixels where there were steps."""
    sides = [np.roll(values, shift, 1) for shift in (-1, 0, 1)]
    return np.mean(sides, axis=0, dtype=np.float32)


def spec_of(scanner: Scanner) -> SignalSpec:
    return SignalSpec(RANGE_IMAGE, (4, COLUMNS), 1, 0.0, 80.0, scanner=scanner)


def test_points_that_hang_are_left_out():
    spec, values = spec_of(Scanner.even(4, 200, -600)), walls()
    points = spec.points(values)
    assert with_best_edges(spec, values, points).scanner.edges == 0
    decoded = smoothed(values)
    best = with_best_edges(spec, decoded, points)
    assert best.scanner.edges > 0
    left = best.points(decoded)
    distance = np.linalg.norm(left, axis=1)
    steps = 2 * COLUMNS // 40 - 1  # but for those at the first and the last column
    assert len(left) == 4 * (COLUMNS - 2 * steps)
    assert np.minimum(np.abs(distance - 5), np.abs(distance - 12))[distance < 12].max() < 3


@pytest.mark.parametrize("scanner", [None, replace(Scanner.even(4, 200, -600), edges=None)])
def test_files_that_do_not_tell_stay_as_they_are(scanner):
    values = walls()
    spec, points = spec_of(scanner), spec_of(Scanner.even(4, 200, -600)).points(values)
    assert with_best_edges(spec, smoothed(values), points) is spec


def test_what_hangs():
    row = np.array([[10.0, 10.0, 10.4, 11.5, 11.5, 0.0, 30.0, 20.0, 10.0, 0.0]], np.float32)
    returned = row > 0
    assert np.flatnonzero(between_surfaces(row, returned, 10)).tolist() == [2, 7]
    assert np.flatnonzero(between_surfaces(row, returned, 20)).tolist() == [7]
    assert not between_surfaces(row, returned & (row != 30), 10)[0, 7]


def test_edges_of_more_than_a_doubling_are_refused():
    for edges in (-1, 101):
        with pytest.raises(QuinrError, match=f"edges of {edges} %"):
            Scanner((0,), (0,), edges=edges)
