"""How a laser scanner has moved since the frame before, and what that frame shows from where it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.signals.scanner import UNITS, Scanner

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_LOOKS = 3
"""How often a ray is followed to the surface that the frame before shows where it ends."""
_FURTHEST_ROW = 4  # that one look moves along a column
_LEVEL = 1e-6  # metres between beams that are one
_SAME_SURFACE = 1.15  # what ranges of four pixels on one surface differ by at most


@dataclass(frozen=True)
class Motion:
    """What leads from points in a scanner's frame to points in its frame one scan before.

    Args:
        rotation: About x, then y, then z, in hundredths of a degree.
        translation: Along x, y and z, in centimetres: where the scanner is in the frame before.

    Raises:
        QuinrError: If it is more than half a turn or a hundred metres.
    """

    MOST_ROTATION: ClassVar[int] = 180 * UNITS
    MOST_TRANSLATION: ClassVar[int] = 100 * UNITS

    rotation: tuple[int, int, int] = (0, 0, 0)
    translation: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        for name, numbers, most in (
            ("rotation", self.rotation, self.MOST_ROTATION),
            ("translation", self.translation, self.MOST_TRANSLATION),
        ):
            if max(map(abs, numbers)) > most:
                raise QuinrError(f"motion with a {name} of {list(numbers)}: at most {most} either way")

    @classmethod
    def nearest(cls, rotation: Floats, translation: Floats) -> Motion:
        """The one that files can hold which is nearest to angles in radians and a way in metres."""
        angles = np.clip(np.rint(UNITS * np.degrees(rotation)), -cls.MOST_ROTATION, cls.MOST_ROTATION)
        way = np.clip(np.rint(UNITS * translation), -cls.MOST_TRANSLATION, cls.MOST_TRANSLATION)
        (a, b, c), (x, y, z) = angles.astype(int).tolist(), way.astype(int).tolist()
        return cls((a, b, c), (x, y, z))

    @property
    def radians(self) -> Floats:
        """The rotation, (3,)."""
        return np.radians(np.array(self.rotation) / UNITS)

    @property
    def metres(self) -> Floats:
        """The translation, (3,)."""
        return np.array(self.translation) / UNITS


def rotation_matrix(angles: Floats) -> Floats:
    """The rotation about x, then y, then z by angles in radians: (3, 3)."""
    (a, b, c), (d, e, f) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -d], [0, d, a]])
    about_y = np.array([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    about_z = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


class MovedView:
    """What the range image of one frame shows from where its scanner has moved to.

    The surface that it shows is followed along each ray from there. At the same range as before the ray ends
    at a point; the frame before has a range in that direction; what this range and the point's own differ by
    is added, and so on: the projective data association of registrations of range images (Blais & Levine,
    "Registering multiview range data to create 3D computer objects", 1995).

    Args:
        scanner: Of both frames.
        columns: Of the range images.
        every: Only each column of that many is looked at, from the first one on.
    """

    def __init__(self, scanner: Scanner, columns: int, every: int = 1) -> None:
        self._scanner, self._columns, self._every = scanner, columns, every
        self._heights = np.array(scanner.heights) / UNITS
        elevation = np.radians(np.array(scanner.elevations) / UNITS)
        azimuth = np.radians((scanner.start + scanner.turn * (np.arange(columns) + 0.5) / columns) / UNITS)
        ways = np.broadcast_arrays(
            np.cos(elevation)[:, None] * np.cos(azimuth[::every]),
            np.cos(elevation)[:, None] * np.sin(azimuth[::every]),
            np.sin(elevation)[:, None],
        )
        self._ways, self._slopes = np.stack(ways), np.tan(elevation)
        self._across = (self._heights * np.cos(elevation))[:, None] ** 2
        self._above = (self._heights * np.sin(elevation))[:, None]
        self._rows = np.broadcast_to(np.arange(len(elevation), dtype=np.float64)[:, None], ways[0].shape)

    def __call__(
        self, values: Floats, rotation: Floats, translation: Floats, low: float, high: float
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Values of all pixels from the new place.

        Args:
            values: (rows, columns, channels) of the frame before: metres, then whatever else.
            rotation: Of the motion, in radians, (3,).
            translation: Of the motion, in metres, (3,).
            low: The shortest range.
            high: The longest range.

        Returns:
            (rows, columns looked at, channels); and whether the frame before shows what lies there: (rows,
            columns looked at), False above its first row and below its last one.
        """
        matrix = rotation_matrix(rotation)
        ways = np.tensordot(matrix, self._ways, 1)  # (3, rows, columns)
        starts = (matrix[:, 2, None] * self._heights + translation[:, None])[:, :, None]
        shown = np.ascontiguousarray(values[..., 0], dtype=np.float64)
        ranges, row = shown[:, :: self._every], self._rows
        for _ in range(_LOOKS):
            along = np.maximum(np.sqrt(np.maximum(ranges**2 - self._across, 0.0)) - self._above, 0.0)
            x, y, z = starts + along * ways
            level = np.hypot(x, y)
            row = self._row(level, z, row)
            column = self._scanner.places(np.arctan2(y, x), self._columns) - 0.5
            between = self._between(shown, row, column)
            ranges = np.clip(ranges + between.of(shown) - np.hypot(level, z), low, high)
        others = [between.of(np.ascontiguousarray(one)) for one in np.moveaxis(values[..., 1:], -1, 0)]
        return np.stack([ranges, *others], axis=-1), (row > 0) & (row < len(values) - 1)

    def _row(self, level: Floats, z: Floats, near: Floats) -> Floats:
        """Rows whose beams meet points, with fractions, from rows near them on."""
        last = len(self._heights) - 1
        first = np.clip(near.astype(np.int64), 0, max(last - 1, 0))
        second = np.minimum(first + 1, last)
        above = z - self._heights.take(first) - level * self._slopes.take(first)
        below = z - self._heights.take(second) - level * self._slopes.take(second)
        apart = np.abs(above - below) > _LEVEL
        steps = np.divide(above, above - below, out=np.zeros_like(above), where=apart)
        found: Floats = np.clip(first + np.clip(steps, -_FURTHEST_ROW, _FURTHEST_ROW), 0, last)
        return found

    def _between(self, shown: Floats, row: Floats, column: Floats) -> _Between:
        """What places between pixels lie between, given the first channel, which tells rims."""
        rows, columns = shown.shape
        top, left = np.clip(row.astype(np.int64), 0, max(rows - 2, 0)), np.floor(column).astype(np.int64)
        down, right = row - top, column - left
        if self._scanner.is_round:
            sides = left % columns, (left + 1) % columns
        else:
            sides = np.clip(left, 0, columns - 1), np.clip(left + 1, 0, columns - 1)
        lines = top * columns, np.minimum(top + 1, rows - 1) * columns
        corners = [line + side for line in lines for side in sides]
        ranges = [shown.take(corner) for corner in corners]
        apart = np.maximum.reduce(ranges) > _SAME_SURFACE * np.minimum.reduce(ranges)
        nearest = np.where(down < 0.5, *lines) + np.where(right < 0.5, *sides)
        return _Between(corners, down, right, apart, nearest)


@dataclass(frozen=True)
class _Between:
    """Places between pixels.

    Args:
        corners: Indices of the four pixels around each: above left and right, below left and right.
        down: How far below the upper ones it lies.
        right: How far to the right of the left ones.
        apart: Whether the four are on several surfaces.
        nearest: Index of the nearest pixel.
    """

    corners: Sequence[Indices]
    down: Floats
    right: Floats
    apart: npt.NDArray[np.bool_]
    nearest: Indices

    def of(self, values: Floats) -> Floats:
        """Values there of a picture: bilinear on a surface, at its rims those of the nearest pixel."""
        a, b, c, d = (values.take(corner) for corner in self.corners)
        upper, lower = a + self.right * (b - a), c + self.right * (d - c)
        return np.where(self.apart, values.take(self.nearest), upper + self.down * (lower - upper))
