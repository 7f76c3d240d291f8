"""Any file as a signal."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from quinr_pl.datamodules.array_file import array_points, array_signal, looks_like_points, read_array
from quinr_pl.datamodules.picture import read_picture
from quinr_pl.datamodules.range_image import Projection, range_image_signal
from quinr_pl.datamodules.scan_datamodule import ScanFileDataModule
from quinr_pl.datamodules.scan_file import ScanFormat, read_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal, image_spec
from quinr_pl.signals.files import read_by_kind

_SAVE_POINTS = "save the points as float32 x, y, z, intensity in a .bin file, or as an .npy array"
_REMEDIES = {
    **dict.fromkeys((".pcd", ".ply", ".las", ".laz", ".e57", ".xyz", ".pts"), _SAVE_POINTS),
    **dict.fromkeys((".csv", ".tsv", ".txt", ".npz", ".mat", ".h5"), "save one array by numpy.save as .npy"),
    ".quinr": "it is compressed already; quinr-pl decompress reads it",
}


class ImageDataModule(ScanFileDataModule):
    """One file: a picture, an array (.npy) or a scan (.bin).

    Args:
        path: Path of the file.
        channel_axis: Axis of an array's channels; null for the last.
        points: Whether an array of (points, 3 or more) is a scan, to be projected; null refuses what looks
            like one.
        **scan: Further arguments of `ScanFileDataModule`.
    """

    def __init__(
        self,
        path: str,
        channel_axis: int | None = None,
        points: bool | None = None,
        **scan: Any,
    ) -> None:
        super().__init__(Path(path).stem, **scan)
        self.path = Path(path).expanduser()
        self.channel_axis = channel_axis
        self.points = points

    @cached_property
    def _signal(self) -> Signal:
        return read_signal(self.path, self.projection, self.scan_format, self.channel_axis, self.points)

    @property
    def channels(self) -> int:
        """Values at each pixel. The file is read for it: headers of some pictures say otherwise."""
        return self._signal.spec.channels

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
) -> Signal:
    """Read a picture, an array, a scan, or what a kind of signal reads itself, as the suffix says.

    Args:
        path: The file: ``.npy``, ``.bin``, one of a kind's ``read_suffixes``, or a picture of
            `quinr_pl.datamodules.picture.FORMATS`.
        projection: For scans; KITTI's when left out.
        scan_format: How a scan lies in its file; KITTI's when left out.
        channel_axis: For arrays, see `array_signal`.
        points: Whether an array is a scan of (points, 3 or more) numbers; when left out, one that looks like
            it is refused.

    Raises:
        QuinrError: If the file is missing or malformed.
    """
    _require_file(path)
    if (signal := read_by_kind(path)) is not None:
        return signal
    suffix = path.suffix.lower()
    if suffix in _REMEDIES:
        raise QuinrError(f"{path}: {suffix} files are not read; {_REMEDIES[suffix]}")
    if suffix == ".bin":
        return range_image_signal(read_scan(path, scan_format), projection or Projection(), str(path))
    if suffix == ".npy":
        array = read_array(path)
        if points is None and looks_like_points(array):
            raise QuinrError(
                f"{path}: shape {array.shape} looks like points, not like a picture; say --data.points true "
                "to project them as a scan, or --data.points false to take the array as it is"
            )
        if points:
            return range_image_signal(array_points(array, path), projection or Projection(), str(path))
        return array_signal(array, path, channel_axis)
    values = read_picture(path)
    return Signal(values, image_spec(values))


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise QuinrError(f"{path}: is a folder; name a picture, a .npy array or a .bin scan")
    if not path.exists():
        raise QuinrError(f"{path}: no such file")
