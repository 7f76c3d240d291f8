"""The rays of a laser scanner: what leads from the pixels of a range image back to points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

UNITS = 100
"""Of angles in a degree, and of heights in a metre."""
MOST_EDGES = 100
"""Percent."""
MOST_FIRINGS = 16
_QUARTER, _TURN = 90 * UNITS, 360 * UNITS
_HIGHEST = 100 * UNITS
_ON_SURFACE = 0.1  # of a step, from either side
_SURFACE_STEP = 0.1  # of a range: what neighbours on one surface differ by at most

Points = npt.NDArray[np.float32]
"""(points, 3): x forward, y left, z up, in metres from the scanner."""


@dataclass(frozen=True)
class Scanner:
    """Where the ray of each pixel of a range image starts and where it leads.

    Angles are whole hundredths of a degree and heights whole centimetres: what a file holds. The rays of a
    row start on the vertical axis of the scanner, at the height of its beam, and rise by its elevation.

    Args:
        elevations: Of each row's beam, above the horizon.
        heights: Of each row's beam, above the origin of the points.
        start: Azimuth of the left edge of the first column, from x towards y.
        turn: From there to the right edge of the last column; negative clockwise, as seen from above.
        edges: Percent of a range that make a step in a row, on which `between_surfaces` finds pixels that are
            no points; 0: all are. None: all are, and files do not tell, as those of earlier versions.
        firings: Points of a pixel, side by side in its column: those between it and a neighbour on the same
            surface lie between both.

    Raises:
        QuinrError: If no scanner has such rays.
    """

    FULL_TURN: ClassVar[tuple[int, int]] = (_TURN // 2, -_TURN)
    """Start and turn of an image that begins and ends behind the scanner."""

    elevations: tuple[int, ...]
    heights: tuple[int, ...]
    start: int = _TURN // 2
    turn: int = -_TURN
    edges: int | None = 0
    firings: int = 1

    def __post_init__(self) -> None:
        if len(self.elevations) != len(self.heights):
            raise QuinrError(f"scanner of {len(self.elevations)} elevations and {len(self.heights)} heights")
        if max(map(abs, self.elevations)) > _QUARTER or max(map(abs, self.heights)) > _HIGHEST:
            raise QuinrError("scanner with a beam beyond 90 degrees or 100 metres")
        if abs(self.start) > _TURN or not 0 < abs(self.turn) <= _TURN:
            raise QuinrError("scanner of no turn, or of more than a full one")
        if self.edges is not None and not 0 <= self.edges <= MOST_EDGES:
            raise QuinrError(f"scanner with edges of {self.edges} %: from 0 to {MOST_EDGES}")
        if not 1 <= self.firings <= (1 if self.edges is None else MOST_FIRINGS):
            raise QuinrError(f"scanner with {self.firings} firings in a column: from 1 to {MOST_FIRINGS}")

    @classmethod
    def even(cls, rows: int, up: int, down: int, start: int = _TURN // 2, turn: int = -_TURN) -> Scanner:
        """The scanner whose rows share a field of view evenly.

        Args:
            rows: Number of rows.
            up: Elevation of the upper edge of the first row.
            down: Elevation of the lower edge of the last row.
            start: As of the class, as for ``turn``.
            turn: See ``start``.
        """
        return cls(even_elevations(rows, up, down), (0,) * rows, start, turn)

    def azimuths(self, columns: int) -> npt.NDArray[np.float64]:
        """Azimuth of each firing of each column in radians: (columns, firings)."""
        places = np.arange(columns)[:, None] + 0.5 + self._offsets()
        return np.radians((self.start + self.turn * places / columns) / UNITS)

    def _offsets(self) -> npt.NDArray[np.float64]:
        """Where firings are in a column, whose middle is 0 and whose edges are -1/2 and 1/2: (firings,)."""
        return (np.arange(self.firings) + 0.5) / self.firings - 0.5

    @property
    def is_round(self) -> bool:
        """Whether the last column meets the first one."""
        return abs(self.turn) == _TURN

    def places(self, azimuths: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
        """Where azimuths lie in a row: 0 at the left edge of the image, ``count`` at the right one.

        What lies outside of a sector is on the side of its nearer edge.

        Args:
            azimuths: In radians, of any shape.
            count: Columns of the image.
        """
        share = np.sign(self.turn) * (azimuths - np.radians(self.start / UNITS)) / (2 * np.pi) % 1.0
        sector = abs(self.turn) / _TURN
        found: npt.NDArray[np.float64] = (
            np.where(share >= (sector + 1) / 2, share - 1, share) / sector * count
        )
        return found

    def columns(self, azimuths: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
        """Columns of the image that azimuths lie in; what lies outside of a sector goes to its nearer edge.

        Args:
            azimuths: In radians, (points,).
            count: Columns of the image.
        """
        return np.clip(np.floor(self.places(azimuths, count)), 0, count - 1).astype(np.int64)

    def ranges(self, points: Points, columns: int, peak: float) -> npt.NDArray[np.float32]:
        """The range image of points that lie anywhere: each in the row whose ray is nearest in elevation.

        Args:
            points: (points, 3).
            columns: Of the image.
            peak: Longer ranges are cut to it.

        Returns:
            (rows, columns) metres; the nearest point of each pixel, 0 where there is none.
        """
        x, y, z = points.astype(np.float64).T
        level, height = np.hypot(x, y), np.array(self.heights) / UNITS
        elevation = np.radians(np.array(self.elevations) / UNITS)
        off = [np.abs(np.arctan2(z - h, level) - e) for h, e in zip(height, elevation, strict=True)]
        row, column = np.argmin(off, axis=0), self.columns(np.arctan2(y, x), columns)
        nearest = np.full((len(self.elevations), columns), np.inf)
        np.minimum.at(nearest, (row, column), np.hypot(level, z))
        return np.where(np.isfinite(nearest), np.minimum(nearest, peak), 0.0).astype(np.float32)

    def are_points(self, ranges: npt.NDArray) -> npt.NDArray[np.bool_]:
        """Pixels of a range image, (rows, columns), that are points: all with a return but what hangs."""
        returned: npt.NDArray[np.bool_] = ranges > 0
        return returned & ~between_surfaces(ranges, returned, self.edges) if self.edges else returned

    def points(self, ranges: npt.NDArray, returned: npt.NDArray[np.bool_]) -> Points:
        """The points of a range image, row after row, the firings of a pixel one after another.

        Args:
            ranges: (rows, columns), metres from the origin.
            returned: (rows, columns), True where there is a point.
        """
        rows, columns = np.nonzero(returned)
        distance = self._distances(ranges, returned).ravel()
        elevation = np.radians(np.array(self.elevations) / UNITS)[rows].repeat(self.firings)
        height = (np.array(self.heights) / UNITS)[rows].repeat(self.firings)
        azimuth = self.azimuths(ranges.shape[1])[columns].ravel()
        # Along the ray to the sphere of that distance around the origin.
        across = np.maximum(distance**2 - (height * np.cos(elevation)) ** 2, 0.0)
        along = np.maximum(np.sqrt(across) - height * np.sin(elevation), 0.0)
        level = along * np.cos(elevation)
        xyz = [level * np.cos(azimuth), level * np.sin(azimuth), height + along * np.sin(elevation)]
        return np.stack(xyz, axis=1).astype(np.float32)

    def _distances(self, ranges: npt.NDArray, returned: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Distance of each firing of the pixels with a point: (pixels, firings)."""
        values = np.where(returned, ranges, np.nan).astype(np.float64)
        around = np.pad(values, ((0, 0), (1, 1)), constant_values=np.nan)
        own = values[returned]
        firings = []
        for offset in self._offsets():
            beside = (around[:, 2:] if offset > 0 else around[:, :-2])[returned]
            alike = np.abs(beside - own) <= _SURFACE_STEP * np.fmin(beside, own)
            firings.append(own + abs(offset) * np.where(alike, beside - own, 0.0))
        return np.stack(firings, axis=1)


def between_surfaces(
    ranges: npt.NDArray, returned: npt.NDArray[np.bool_], edges: int
) -> npt.NDArray[np.bool_]:
    """Pixels that hang between a near surface on one side of them in their row and a far one on the other.

    A codec of few bits leaves slopes where a scan has steps, and points on these slopes have none of the scan
    near them.

    Args:
        ranges: (rows, columns), in metres.
        returned: (rows, columns), True where there is a return.
        edges: Percent of the nearer one by which the ranges on both sides have to differ.

    Returns:
        (rows, columns), True for those with returns on both sides whose range is farther from either than a
        tenth of the step.
    """
    values, found = ranges.astype(np.float64), np.zeros_like(returned)
    near, far = np.minimum(values[:, :-2], values[:, 2:]), np.maximum(values[:, :-2], values[:, 2:])
    step, above = far - near, values[:, 1:-1] - near
    hangs = (step > edges / 100 * near) & (_ON_SURFACE * step < above) & (above < (1 - _ON_SURFACE) * step)
    found[:, 1:-1] = hangs & returned[:, :-2] & returned[:, 1:-1] & returned[:, 2:]
    return found


def even_elevations(rows: int, up: int, down: int) -> tuple[int, ...]:
    """Elevations of the middles of rows that share a field of view evenly, in hundredths of a degree."""
    return tuple((2 * rows * up + (2 * row + 1) * (down - up) + rows) // (2 * rows) for row in range(rows))
