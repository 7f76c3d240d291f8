"""The projection of laser scans to range images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.beam_rays import beams_of
from quinr_pl.datamodules.beams import find_beams
from quinr_pl.datamodules.notice import notice
from quinr_pl.errors import QuinrError
from quinr_pl.signals import RANGE_IMAGE, Scanner, Signal, SignalSpec
from quinr_pl.signals.scanner import UNITS

PROJECTIONS = ("field_of_view", "beam_order")


@dataclass(frozen=True)
class Projection:
    """How a scan becomes a range image.

    Args:
        method: "field_of_view" takes the row from a point's elevation (RangeNet++, Milioto et al. 2019);
            "beam_order" gives each beam a row, which leaves fewer holes and collisions, see `find_beams`.
        height: Rows of the range image.
        width: Columns of a full turn.
        fov_up: Elevation of the upper edge in degrees, for "field_of_view".
        fov_down: Elevation of the lower edge in degrees, negative below the horizon.
        peak: Range in metres that target 1 stands for; longer ranges are cut to it.
        mask: Whether the file says which pixels have a return, so that the network need not.

    Raises:
        QuinrError: If a value is out of its domain.
    """

    method: str = "field_of_view"
    height: int = 64
    width: int = 1024
    fov_up: float = 3.0
    fov_down: float = -25.0
    peak: float = 80.0
    mask: bool = True

    def __post_init__(self) -> None:
        if self.method not in PROJECTIONS:
            raise QuinrError(f"--data.projection {self.method}: choose from {', '.join(PROJECTIONS)}")
        for flag in ("height", "width"):
            if getattr(self, flag) < 1:
                raise QuinrError(f"--data.{flag} {getattr(self, flag)}: must be at least 1")
        if not -90 <= self.fov_down < self.fov_up <= 90:
            raise QuinrError(
                f"--data.fov_up {self.fov_up} and --data.fov_down {self.fov_down}: need "
                "-90 <= fov_down < fov_up <= 90 degrees"
            )
        if not (np.isfinite(self.peak) and self.peak > 0):
            raise QuinrError(f"--data.peak {self.peak}: must be a positive number of metres")


@dataclass(frozen=True)
class PlacedPoints:
    """Points of a scan, each with the pixel that it goes to.

    Args:
        xyz: (points, 3), in metres.
        distance: (points,), from the scanner.
        row: (points,).
        column: (points,).
    """

    xyz: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]

    def ranges(self, projection: Projection) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Distances cut to the peak and where there is one, see `project`."""
        nearest = np.full(projection.height * projection.width, np.inf)
        np.minimum.at(nearest, self.row * projection.width + self.column, self.distance)
        valid = np.isfinite(nearest)
        ranges = np.where(valid, np.minimum(nearest, projection.peak), 0.0).astype(np.float32)
        shape = (projection.height, projection.width)
        return ranges.reshape(shape), valid.reshape(shape)


def project(
    points: npt.NDArray[np.float32], projection: Projection, name: str = "scan"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Range image of a scan: where several points meet in a pixel, the nearest wins.

    A line on stderr says how many points the image does not hold as they are.

    Args:
        points: (points, 3 or more): x forward, y left, z up, in metres.
        projection: Size, field of view and kind of the projection.
        name: Of the scan, for messages.

    Returns:
        (height, width) float32 metres, 0 where there is no return, cut to the peak; and (height, width)
        bool, True where there is a return.

    Raises:
        QuinrError: If no point is left, or there are no beams that "beam_order" could tell apart.
    """
    return _placed(points, projection, name).ranges(projection)


def _placed(points: npt.NDArray[np.float32], projection: Projection, name: str) -> PlacedPoints:
    distance = np.linalg.norm(points[:, :3].astype(np.float64), axis=1)
    seen = distance > 0
    if not seen.any():
        raise QuinrError(f"{name}: no point away from the scanner, nothing to project")
    points, distance = points[seen], distance[seen]
    xyz = points[:, :3].astype(np.float64)
    outside = 0
    if projection.method == "beam_order":
        row = _beam_rows(points, projection.height, name)
    else:
        share = _elevation_share(xyz[:, 2] / distance, projection)
        row = _bins(share, projection.height)
        outside = int(np.sum((share < 0) | (share > 1)))
    _say_what_is_changed(len(points), int((distance > projection.peak).sum()), outside, projection, name)
    return PlacedPoints(xyz, distance, row, _columns(xyz, projection.width))


def _say_what_is_changed(count: int, beyond: int, outside: int, projection: Projection, name: str) -> None:
    changes = []
    if beyond:
        changes.append(f"{beyond} lie beyond --data.peak {projection.peak:g} and are cut to it")
    if outside:
        changes.append(
            f"{outside} lie outside of --data.fov_down {projection.fov_down:g} to --data.fov_up "
            f"{projection.fov_up:g} and go to the edge rows"
        )
    if changes:
        notice(f"{name}: of {count} points {', '.join(changes)}")


def range_image_signal(points: npt.NDArray[np.float32], projection: Projection, name: str) -> Signal:
    """The range image of a scan as a signal, its mask in the spec if the projection says so.

    Raises:
        QuinrError: As `project` does.
    """
    placed = _placed(points, projection, name)
    ranges, valid = placed.ranges(projection)
    spec = SignalSpec(
        RANGE_IMAGE,
        ranges.shape,
        channels=1,
        low=0.0,
        high=projection.peak,
        mask=valid if projection.mask else None,
        scanner=_scanner(placed, projection),
    )
    return Signal(ranges[:, :, None], spec, valid, placed.xyz.astype(np.float32))


def _scanner(placed: PlacedPoints, projection: Projection) -> Scanner:
    """The rays that lead back to the points: of beams as the points tell them, else of even rows."""
    if projection.method == "beam_order":
        return beams_of(placed.xyz, placed.row, projection.height)
    up, down = (round(edge * UNITS) for edge in (projection.fov_up, projection.fov_down))
    return Scanner.even(projection.height, up, down)


def _beam_rows(points: npt.NDArray[np.float32], height: int, name: str) -> npt.NDArray[np.int64]:
    beam = find_beams(points)
    if beam is None:
        raise QuinrError(
            f"{name}: --data.projection beam_order finds no beams in the order of the points; take "
            "field_of_view"
        )
    found = int(beam.max()) + 1
    # Rows that stay empty in half of the image mean another scanner.
    if not height < 2 * found <= 2 * height:
        raise QuinrError(
            f"{name}: --data.projection beam_order finds {found} beams for --data.height {height}; set "
            f"--data.height {found}, or take field_of_view"
        )
    return beam


def _elevation_share(sine: npt.NDArray[np.float64], projection: Projection) -> npt.NDArray[np.float64]:
    """How far from the upper edge of the field of view to the lower one: 0 to 1 within it."""
    pitch = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    return 1.0 - (pitch - projection.fov_down) / (projection.fov_up - projection.fov_down)


def _columns(xyz: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.int64]:
    yaw = -np.arctan2(xyz[:, 1], xyz[:, 0])
    return _bins(0.5 * (yaw / np.pi + 1.0), width)


def _bins(share: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.clip(np.floor(share * count), 0, count - 1).astype(np.int64)
