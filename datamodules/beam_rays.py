"""Elevation and height of each beam of a scanner, from the points that it saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import Scanner
from quinr_pl.signals.scanner import UNITS

_FEWEST = 16  # points that tell where a beam starts
_TRUST = 0.01  # in the height of the beam before, beside what the points say
_HIGHEST = 2.0  # metres: no beam starts farther from the origin of its scanner


def beams_of(xyz: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], count: int) -> Scanner:
    """The scanner whose beams pass through points, each by least squares.

    The points of a beam lie on a cone, z = height + slope · distance from the vertical axis. Scanners of many
    beams have them start at different heights: told by elevations alone, near points would be off by
    decimetres.

    Args:
        xyz: (points, 3), in metres.
        rows: (points,), the beam of each point.
        count: Rows of the range image; those without a point get an elevation between or beyond the others'.
    """
    level = np.hypot(xyz[:, 0], xyz[:, 1])
    weights = np.bincount(rows, minlength=count).astype(np.float64)

    def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums: npt.NDArray[np.float64] = np.bincount(rows, values, count) / np.maximum(weights, 1)
        return sums

    level_mean, z_mean, square, product = (
        mean(level),
        mean(xyz[:, 2]),
        mean(level**2),
        mean(level * xyz[:, 2]),
    )
    angle = mean(np.arctan2(xyz[:, 2], level))
    elevations, heights = angle.copy(), np.zeros(count)
    before = 0.0
    for row in np.flatnonzero(weights >= _FEWEST):
        spread = (1 + _TRUST) * square[row] - level_mean[row] ** 2
        if spread <= 1e-6 * square[row]:
            continue
        height = (square[row] * (z_mean[row] + _TRUST * before) - level_mean[row] * product[row]) / spread
        height = np.clip(height, -_HIGHEST, _HIGHEST)
        before = heights[row] = round(height * UNITS) / UNITS
        elevations[row] = np.arctan2(product[row] - before * level_mean[row], square[row])
    known = np.flatnonzero(weights)
    filled = np.interp(np.arange(count), known, np.degrees(elevations[known]))
    return Scanner(
        tuple(np.rint(filled * UNITS).astype(int).tolist()),
        tuple(np.rint(heights * UNITS).astype(int).tolist()),
    )
