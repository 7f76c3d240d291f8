"""Laser scans and their projection to range images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.coordinate_datamodule import Signal
from quinr_pl.errors import QuinrError
from quinr_pl.signal import SignalKind, SignalSpec

PROJECTIONS = ("field_of_view", "beam_order")
_POINT_BYTES = 16
_FEW_STEPS_BACK = 8
_MOST_POINTS = 1 << 24  # a hundred full turns of a 64-beam scanner: more is another kind of file


@dataclass(frozen=True)
class Projection:
    """How a scan becomes a range image.

    Args:
        method: "field_of_view" takes the row from a point's elevation (RangeNet++, Milioto et al. 2019);
            "beam_order" takes it from the order in the file, which in KITTI is beam after beam from the
            top, and leaves fewer holes and collisions.
        height: Rows.
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


def read_scan(path: Path) -> npt.NDArray[np.float32]:
    """Read a scan in KITTI's format: little-endian float32 x, y, z, remission for each point.

    Returns:
        (points, 4) float32.

    Raises:
        QuinrError: If the file is missing, empty, cut, too large or holds numbers that are not finite.
    """
    try:
        size = path.stat().st_size
        if size == 0 or size % _POINT_BYTES:
            raise QuinrError(
                f"{path}: {size} bytes is no scan, which is a positive multiple of {_POINT_BYTES} bytes "
                "(float32 x, y, z, remission); fetch the file again"
            )
        if size > _MOST_POINTS * _POINT_BYTES:
            raise QuinrError(
                f"{path}: {size} bytes, more than the {_MOST_POINTS} points of the largest scan read"
            )
        points = np.fromfile(path, dtype="<f4").reshape(-1, 4)
    except OSError as error:
        raise QuinrError(f"{path}: cannot read the scan ({error.strerror})") from error
    return finite_points(points.astype(np.float32, copy=False), path)


def finite_points(points: npt.NDArray[np.float32], path: Path) -> npt.NDArray[np.float32]:
    """The points as they are.

    Args:
        points: (points, numbers).
        path: Their file, for messages.

    Raises:
        QuinrError: If there is a number that is not finite.
    """
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise QuinrError(
            f"{path}: point {int(np.argmax(bad))} is not finite ({int(bad.sum())} such points); "
            "remove them from the scan"
        )
    return points


def project(
    points: npt.NDArray[np.float32], projection: Projection
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Range image of a scan: where several points meet in a pixel, the nearest wins.

    Args:
        points: (points, 3 or more): x forward, y left, z up, in metres, in firing order.
        projection: How.

    Returns:
        (height, width) float32 metres, 0 where there is no return, cut to the peak; and (height, width)
        bool, True where there is a return.

    Raises:
        QuinrError: If no point is left, or the scan is not in the order that "beam_order" needs.
    """
    xyz = points[:, :3].astype(np.float64)
    distance = np.linalg.norm(xyz, axis=1)
    beam = beams(xyz) if projection.method == "beam_order" else None
    seen = distance > 0
    if not seen.any():
        raise QuinrError("the scan has no point away from the scanner: nothing to project")
    if beam is None:
        row = _elevation_rows(xyz[seen, 2] / distance[seen], projection)
    else:
        row = _beam_rows(beam, projection.height)[seen]
    column = _columns(xyz[seen], projection.width)
    nearest = np.full(projection.height * projection.width, np.inf)
    np.minimum.at(nearest, row * projection.width + column, distance[seen])
    valid = np.isfinite(nearest)
    ranges = np.where(valid, np.minimum(nearest, projection.peak), 0.0).astype(np.float32)
    shape = (projection.height, projection.width)
    return ranges.reshape(shape), valid.reshape(shape)


def range_image_signal(points: npt.NDArray[np.float32], projection: Projection) -> Signal:
    """The range image of a scan as a signal, its mask in the spec if the projection says so.

    Raises:
        QuinrError: As `project` does.
    """
    ranges, valid = project(points, projection)
    spec = SignalSpec(
        SignalKind.RANGE_IMAGE,
        projection.height,
        projection.width,
        channels=1,
        low=0.0,
        high=projection.peak,
        returns=valid if projection.mask else None,
    )
    return Signal(ranges[:, :, None], spec, valid)


def beams(xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Beam of each point of a scan in firing order: a new one starts where the azimuth wraps around.

    Args:
        xyz: (points, 3).

    Returns:
        (points,) counted from 0.

    Raises:
        QuinrError: If the points are in another order.
    """
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0]) % (2 * np.pi)
    step = np.diff(azimuth)
    back = step > np.pi
    if back.sum() > max(_FEW_STEPS_BACK, len(xyz) // 100):
        raise QuinrError(
            f"--data.projection beam_order: the azimuth runs back {int(back.sum())} times in the scan, "
            "which is not in firing order; take field_of_view"
        )
    # A point that jitters back over the seam undoes the wrap it will make again.
    turn = (step < -np.pi).astype(np.int64) - back
    return np.concatenate([[0], np.maximum.accumulate(np.maximum(np.cumsum(turn), 0))])[: len(xyz)]


def _beam_rows(beam: npt.NDArray[np.int64], height: int) -> npt.NDArray[np.int64]:
    found = int(beam.max()) + 1
    if found > height:
        raise QuinrError(
            f"--data.projection beam_order: the scan has {found} turns of the azimuth for --data.height "
            f"{height}; raise the height, or take field_of_view if the points are in another order"
        )
    return beam


def _elevation_rows(sine: npt.NDArray[np.float64], projection: Projection) -> npt.NDArray[np.int64]:
    pitch = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    share = (pitch - projection.fov_down) / (projection.fov_up - projection.fov_down)
    return _bins(1.0 - share, projection.height)


def _columns(xyz: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.int64]:
    yaw = -np.arctan2(xyz[:, 1], xyz[:, 0])
    return _bins(0.5 * (yaw / np.pi + 1.0), width)


def _bins(share: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.clip(np.floor(share * count), 0, count - 1).astype(np.int64)
