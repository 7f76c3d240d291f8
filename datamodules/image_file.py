"""Any file as a signal."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.array_file import (
    array_points,
    array_signal,
    array_volume,
    looks_like_points,
    read_array,
)
from quinr_pl.datamodules.picture import read_picture
from quinr_pl.datamodules.point_file import POINT_READERS, read_points
from quinr_pl.datamodules.range_file import read_range_image
from quinr_pl.datamodules.range_image import Projection, range_image_signal
from quinr_pl.datamodules.scan_datamodule import ScanFileDataModule
from quinr_pl.datamodules.scan_file import ScanFormat, intensities_of, read_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal, image_spec
from quinr_pl.signals.files import read_by_kind
from quinr_pl.suffixes import stem_of

_SAVE_POINTS = "save the points as float32 x, y, z, intensity in a .bin file, or as an .npy array"
_UNITS = 1e-9, 1e6  # metres
_REMEDIES = {
    **dict.fromkeys((".e57", ".xyz", ".pts"), _SAVE_POINTS),
    **dict.fromkeys((".csv", ".tsv", ".txt", ".npz", ".mat", ".h5"), "save one array by numpy.save as .npy"),
    ".quinr": "it is compressed already; quinr-pl decompress reads it",
}


class ImageDataModule(ScanFileDataModule):
    """One file: a picture, an array (.npy), a scan (.bin, .pcd, .ply, .las, .laz) or a range image.

    Args:
        path: Path of the file.
        channel_axis: Axis of an array's channels; null for the last.
        points: Whether an array of (points, 3 or more) is a scan, to be projected; null refuses what looks
            like one.
        range_image: Whether an array or a picture is one of distances, see `read_range_image`.
        volume: Whether an array is a volume, see `array_volume`.
        unit: Metres that 1 stands for in a scan or range image; null for 1, and for 1/256 in pictures.
        projection: "auto", "field_of_view" or "beam_order", see `Projection`, as for the following.
        height: Rows of a range image; null for those of the scan.
        width: Columns of a range image; null for those of the scan.
        fov_up: Elevation of its upper edge in degrees; null for that of the scan.
        fov_down: Elevation of its lower edge in degrees; null for that of the scan.
        peak: Range in metres that target 1 stands for; null for that of the scan.
        **scan: Further arguments of `ScanFileDataModule`.
    """

    def __init__(
        self,
        path: str,
        channel_axis: int | None = None,
        points: bool | None = None,
        range_image: bool = False,
        volume: bool = False,
        unit: float | None = None,
        projection: str = "auto",
        height: int | None = None,
        width: int | None = None,
        fov_up: float | None = None,
        fov_down: float | None = None,
        peak: float | None = None,
        **scan: Any,
    ) -> None:
        layout: dict[str, Any] = {"projection": projection, "height": height, "width": width, "peak": peak}
        super().__init__(stem_of(Path(path)), **layout, fov_up=fov_up, fov_down=fov_down, **scan)
        low, high = _UNITS
        if unit is not None and not low <= unit <= high:
            raise QuinrError(f"--data.unit {unit}: must lie between {low:g} and {high:g} metres")
        self.path = Path(path).expanduser()
        self.channel_axis = channel_axis
        self.points_in_array = points
        self.range_image = range_image
        self.volume = volume
        self.unit = unit

    @cached_property
    def _signal(self) -> Signal:
        if self.range_image:
            _require_file(self.path)
            return read_range_image(self.path, self.projection, self.unit)
        if self.volume and self.path.suffix.lower() == ".npy":
            _require_file(self.path)
            return array_volume(read_array(self.path), self.path, self.channel_axis)
        return read_signal(
            self.path,
            self.projection,
            self.scan_format,
            self.channel_axis,
            self.points_in_array,
            1.0 if self.unit is None else self.unit,
        )

    @property
    def channels(self) -> int:
        """Values at each pixel. The file is read for it: headers of some pictures say otherwise."""
        return self._signal.spec.channels

    @property
    def axes(self) -> int:
        """Axes of the signal, the channels' left out. The file is read for it."""
        return len(self._signal.spec.shape)

    def read(self) -> Signal:
        """Read the file.

        Raises:
            QuinrError: If it is missing or malformed.
        """
        return self._signal


def read_signal(
    path: Path,
    projection: Projection | None = None,
    scan_format: ScanFormat | None = None,
    channel_axis: int | None = None,
    points: bool | None = None,
    unit: float = 1.0,
) -> Signal:
    """Read a picture, an array, a scan, or what a kind of signal reads itself, as the suffix says.

    Args:
        path: The file: ``.npy``, ``.bin``, one of `POINT_READERS` or of a kind's ``read_suffixes``, or a
            picture of `quinr_pl.datamodules.picture.FORMATS`.
        projection: For scans; KITTI's when left out.
        scan_format: How a scan lies in its file; KITTI's when left out.
        channel_axis: For arrays, see `array_signal`.
        points: Whether an array is a scan of (points, 3 or more) numbers; when left out, one that looks like
            it is refused.
        unit: Metres that a coordinate of 1 stands for in a scan.

    Raises:
        QuinrError: If the file is missing or malformed.
    """
    _require_file(path)
    if (signal := read_by_kind(path)) is not None:
        return signal
    suffix = path.suffix.lower()
    if suffix in _REMEDIES:
        raise QuinrError(f"{path}: {suffix} files are not read; {_REMEDIES[suffix]}")
    if suffix in POINT_READERS:
        positions, intensities = read_points(path, unit)
        return range_image_signal(positions, projection or Projection(), str(path), intensities)
    if suffix == ".bin":
        return _scan_signal(read_scan(path, scan_format), projection, path, unit)
    if suffix == ".npy":
        array = read_array(path)
        if points is None and looks_like_points(array):
            raise QuinrError(
                f"{path}: shape {array.shape} looks like points, not like a picture; say --data.points true "
                "to project them as a scan, or --data.points false to take the array as it is"
            )
        if points:
            return _scan_signal(array_points(array, path), projection, path, unit)
        return array_signal(array, path, channel_axis)
    values = read_picture(path)
    return Signal(values, image_spec(values))


def _scan_signal(points: npt.NDArray, projection: Projection | None, path: Path, unit: float) -> Signal:
    if unit != 1.0:
        points = np.column_stack([points[:, :3].astype(np.float64) * unit, points[:, 3:]]).astype(np.float32)
    return range_image_signal(points, projection or Projection(), str(path), intensities_of(points))


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise QuinrError(f"{path}: is a folder; name a picture, a .npy array or a scan")
    if not path.exists():
        raise QuinrError(f"{path}: no such file")
