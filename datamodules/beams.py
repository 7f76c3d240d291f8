"""Which beam of a rotating scanner each point of a scan belongs to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

_MOST_BEAMS = 256
_MOST_SPREAD = 0.05
_ALIKE = 2.0
_ALIGNMENTS = 3
_NEVER = 1e9  # a sum of angles that no alignment reaches
_JITTER = 0.97  # of the sector: less is a gap in it
_LEVEL_GAP = np.radians(0.05)  # beams of today's scanners lie a tenth of a degree apart or more


def find_beams(points: npt.NDArray) -> Rows | None:
    """Beam of each point, from the top, by whatever the scan says of it.

    In turn: a column of beam numbers; the order of the file, beam after beam in either direction, from any
    azimuth on and over any sector; elevations that are the same for all points of a beam, in any order; and
    firings one after another, each from the top or from the bottom.

    Args:
        points: (points, 3 or more): x, y, z and whatever else the scanner gives.

    Returns:
        (points,) counted from 0; None where no way leads to beams of like elevations. A point within a step
        of where beams start may go to the beam beside its own.
    """
    xyz = points[:, :3].astype(np.float64)
    elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    for ways in (
        _by_number(points),
        _by_turns(xyz),
        _by_elevation(elevation),
        _by_firings(elevation),
    ):
        believed = [
            (spread, rows)
            for rows in ways
            if rows.max() < _MOST_BEAMS and (spread := _spread(rows, elevation)) <= _MOST_SPREAD
        ]
        if believed:
            return _from_the_top(_best(believed), elevation)
    return None


def _best(believed: list[tuple[float, Rows]]) -> Rows:
    """The rows of least spread, or the first with one row fewer that spread alike.

    Cut elsewhere than at its first turn, a scan has a row more, and may yet spread less.
    """
    least, best = min(believed, key=lambda way: way[0])
    fewer = (rows for spread, rows in believed if spread <= _ALIKE * least and rows.max() == best.max() - 1)
    return next(fewer, best)


def _spread(rows: Rows, elevation: npt.NDArray[np.float64]) -> float:
    """Variance of the elevations within rows, as a share of the variance of all."""
    total = elevation.var()
    means = _means(rows, elevation)
    return float(np.mean((elevation - means[rows]) ** 2) / total) if total > 0 else 0.0


def _means(rows: Rows, elevation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.bincount(rows, elevation) / np.maximum(np.bincount(rows), 1)


def _from_the_top(rows: Rows, elevation: npt.NDArray[np.float64]) -> Rows:
    """Turns the order of the rows round where they come from the bottom."""
    means = _means(rows, elevation)[np.unique(rows)]
    return rows.max() - rows if means[0] < means[-1] else rows


def _by_number(points: npt.NDArray) -> Iterator[Rows]:
    for column in points[:, 3:].T:
        if (column == np.rint(column)).all() and column.min() >= 0 and column.max() < len(points):
            yield np.unique(column, return_inverse=True)[1].astype(np.int64)


def _by_turns(xyz: npt.NDArray[np.float64]) -> Iterator[Rows]:
    """A new beam starts where the azimuth goes back to where the first one started."""
    for direction in (1.0, -1.0):
        azimuth = direction * np.arctan2(xyz[:, 1], xyz[:, 0])
        for start in (0.0, np.pi, azimuth[0], _middle_of_widest_gap(azimuth)):
            along = (azimuth - start) % (2 * np.pi)
            step = np.diff(along)
            sector = np.ptp(along)
            # A point that jitters back over the start undoes the turn that it will make again.
            turns = (step < -sector / 2).astype(np.int64) - (step > _JITTER * sector)
            yield np.concatenate([[0], np.maximum.accumulate(np.maximum(np.cumsum(turns), 0))])[: len(xyz)]


def _middle_of_widest_gap(azimuth: npt.NDArray[np.float64]) -> float:
    ordered = np.sort(azimuth)
    gaps = np.diff(ordered, append=ordered[0] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    return float(ordered[widest] + gaps[widest] / 2)


def _by_elevation(elevation: npt.NDArray[np.float64]) -> Iterator[Rows]:
    order = np.argsort(-elevation)
    level = np.cumsum(np.diff(-elevation[order], prepend=-elevation[order[0]]) > _LEVEL_GAP)
    rows = np.empty(len(elevation), np.int64)
    rows[order] = level
    yield rows


def _by_firings(elevation: npt.NDArray[np.float64]) -> Iterator[Rows]:
    """Aligns each firing, which lacks beams without a return, with the elevations of the whole ones."""
    step = np.diff(elevation)
    down = -1.0 if np.median(step) < 0 else 1.0
    quarter = np.ptp(np.quantile(elevation, (0.01, 0.99))) / 4
    firing = np.concatenate([[0], np.cumsum(down * step < -quarter)])
    counts = np.bincount(firing)
    if not 1 < counts.max() <= _MOST_BEAMS:
        return
    place = np.arange(len(elevation)) - (np.cumsum(counts) - counts)[firing]
    whole = counts[firing] == counts.max()
    levels = np.bincount(place[whole], elevation[whole]) / np.bincount(place[whole])
    for _ in range(_ALIGNMENTS):
        rows = _aligned(elevation, firing, place, counts, levels)
        levels = np.bincount(rows, elevation, len(levels)) / np.maximum(
            np.bincount(rows, None, len(levels)), 1
        )
    yield rows


def _aligned(
    elevation: npt.NDArray[np.float64],
    firing: Rows,
    place: Rows,
    counts: Rows,
    levels: npt.NDArray[np.float64],
) -> Rows:
    """The rows that rise within each firing at the least sum of distances to the levels (Viterbi's way)."""
    beams = len(levels)
    padded = np.zeros((beams, len(counts)))
    padded[place, firing] = elevation
    best = np.zeros((len(counts), beams))  # least sum up to a point, by the row that the point takes
    before = np.zeros((beams, len(counts), beams), np.int16)  # the row that the point before it then takes
    ends = np.empty((len(counts), beams))
    for point in range(beams):
        if point:
            least = np.minimum.accumulate(best, axis=1)
            where = np.where(np.diff(least, axis=1, prepend=_NEVER) < 0, np.arange(beams), 0)
            before[point, :, 1:] = np.maximum.accumulate(where, axis=1)[:, :-1]
            best[:, 1:], best[:, 0] = least[:, :-1], _NEVER
        best += np.abs(padded[point][:, None] - levels)
        ends[counts == point + 1] = best[counts == point + 1]
    row = np.argmin(ends, axis=1)
    rows = np.zeros((beams, len(counts)), np.int64)
    for point in reversed(range(beams)):
        reached = point < counts
        rows[point] = np.where(reached, row, 0)
        row = np.where(reached, before[point][np.arange(len(counts)), row], row)
    return rows[place, firing]
