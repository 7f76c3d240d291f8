"""Rows, columns and sector of the range image that suits a scan."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import Scanner
from quinr_pl.signals.scanner import UNITS

_FIRINGS = 2
"""Of a column: the mask of finer ones takes more bytes than files of a tenth of a bit a point have."""
_MULTIPLE = 64
_MOST_COLUMNS = 8192
_FIELD_ROWS = 64
_WIDEST_GAP = np.radians(30)
_TURN = 360 * UNITS

Floats = npt.NDArray[np.float64]


def sector_of(azimuths: Floats) -> tuple[int, int]:
    """Start and turn, as of a `Scanner`, of the columns that a scan fills; a full turn unless it is cropped.

    Args:
        azimuths: Of the points, in radians.
    """
    ordered = np.unique(azimuths)
    gaps = np.diff(ordered, append=ordered[0] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    if len(ordered) < 2 or gaps[widest] < _WIDEST_GAP:
        return Scanner.FULL_TURN
    last, first = ordered[widest], ordered[(widest + 1) % len(ordered)]
    extent = np.ceil(np.degrees((last - first) % (2 * np.pi)) * UNITS) + 2
    start = int(np.ceil(np.degrees(last) * UNITS)) + 1
    return (start - _TURN if start > _TURN // 2 else start), -int(min(extent, _TURN))


def columns_of(azimuths: Floats, rows: npt.NDArray[np.int64] | None, turn: int) -> int:
    """Columns of a range image with about two firings in each.

    Args:
        azimuths: Of the points, in radians.
        rows: Beam of each point; None where it is not known.
        turn: Of the sector, in hundredths of a degree.
    """
    if rows is None:
        firings = len(azimuths) / _FIELD_ROWS
    else:
        order = np.lexsort((azimuths, rows))
        steps = np.diff(azimuths[order])[np.diff(rows[order]) == 0]
        steps = steps[steps > 1e-6]
        firings = np.radians(abs(turn) / UNITS) / np.median(steps) if len(steps) else 1.0
    columns = _MULTIPLE * round(firings / _FIRINGS / _MULTIPLE)
    return int(min(max(columns, _MULTIPLE), _MOST_COLUMNS))


def field_of(elevations: Floats) -> tuple[float, float]:
    """Upper and lower edge of the field of view that holds a scan, in tenths of a degree.

    Args:
        elevations: Of the points, in radians.
    """
    degrees = np.degrees(elevations)
    up, down = np.ceil(10 * degrees.max()) / 10, np.floor(10 * degrees.min()) / 10
    return float(min(max(up, down + 0.1), 90.0)), float(max(down, -90.0))
