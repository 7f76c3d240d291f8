"""Any file as a signal, and signals back to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.atomic_file import atomic_path
from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule, Signal
from quinr_pl.datamodules.picture import picture_channels, read_picture, write_png
from quinr_pl.datamodules.range_image import Projection, range_image_signal, read_scan
from quinr_pl.errors import QuinrError
from quinr_pl.signal import SignalKind, SignalSpec

KITTI_DEPTH_SCALE = 256
"""Units of KITTI's 16-bit depth pictures in a metre."""


class ImageDataModule(CoordinateDataModule):
    """One file: a picture that Pillow reads, an array (.npy) or a KITTI scan (.bin).

    Args:
        path: The file.
        projection: How a scan becomes a range image, see `Projection`, as for the following.
        height: Rows of a range image.
        width: Columns of a range image.
        fov_up: Elevation of its upper edge in degrees.
        fov_down: Elevation of its lower edge in degrees.
        peak: Range in metres that target 1 stands for.
        mask: Whether the file says which pixels have a return; the network then gives only those. For scans.
        batch_size: Coordinates in a training step; null for the whole signal.
        steps_per_epoch: Training steps in an epoch; one pass over the signal when left out.
        eval_batch_size: Coordinates in a block of validation, test and prediction.
        seed: Seed of the order of training coordinates.
    """

    def __init__(
        self,
        path: str,
        projection: str = "field_of_view",
        height: int = 64,
        width: int = 1024,
        fov_up: float = 3.0,
        fov_down: float = -25.0,
        peak: float = 80.0,
        mask: bool = True,
        batch_size: int | None = 4096,
        steps_per_epoch: int | None = None,
        eval_batch_size: int = 65536,
        seed: int = 0,
    ) -> None:
        super().__init__(Path(path).stem, batch_size, steps_per_epoch, eval_batch_size, seed)
        self.path = Path(path).expanduser()
        self.projection = Projection(projection, height, width, fov_up, fov_down, peak, mask)

    @property
    def channels(self) -> int:
        """Values at each pixel, from the file's header."""
        _require_file(self.path)
        suffix = self.path.suffix.lower()
        if suffix == ".bin":
            return 1
        if suffix == ".npy":
            shape = _open_array(self.path).shape
            return shape[2] if len(shape) == 3 else 1
        return picture_channels(self.path)

    def read(self) -> Signal:
        """Read the file.

        Raises:
            QuinrError: If it is missing or malformed.
        """
        return read_signal(self.path, self.projection)


def read_signal(path: Path, projection: Projection | None = None) -> Signal:
    """Read a picture, an array or a scan, as the suffix says.

    Args:
        path: The file: ``.npy``, ``.bin``, or anything that Pillow reads.
        projection: For scans; KITTI's when left out.

    Raises:
        QuinrError: If the file is missing or malformed.
    """
    _require_file(path)
    suffix = path.suffix.lower()
    if suffix == ".bin":
        return range_image_signal(read_scan(path), projection or Projection())
    if suffix == ".npy":
        return _array_signal(np.array(_open_array(path)), path)
    values = read_picture(path)
    return Signal(values, SignalSpec.of_image(values))


def write_signal(values: npt.NDArray, spec: SignalSpec, path: Path) -> None:
    """Write a signal aside and rename it into place.

    Args:
        values: (height, width, channels).
        spec: What the values are.
        path: ``.png`` for images and range images, ``.npy`` for anything. A range image becomes a 16-bit
            PNG in KITTI's depth convention, metres times 256, where 0 is no return; an array of one
            channel becomes two-dimensional.

    Raises:
        QuinrError: If the suffix cannot hold the values, or the folder cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".png", ".npy"):
        raise QuinrError(
            f"{path}: signals are written as .png or .npy, not as {suffix or 'a name without one'}"
        )
    if suffix == ".png":
        values = _png_values(values, spec, path)
    elif spec.channels == 1:
        values = values[:, :, 0]
    with atomic_path(path) as aside:
        if suffix == ".png":
            write_png(values, aside)
        else:
            with aside.open("wb") as file:
                np.save(file, values)


def _png_values(values: npt.NDArray, spec: SignalSpec, path: Path) -> npt.NDArray:
    if spec.kind is SignalKind.ARRAY:
        raise QuinrError(f"{path}: an array of real numbers does not fit a PNG; write it as .npy")
    if spec.channels > 4:
        raise QuinrError(f"{path}: {spec.channels} channels do not fit a PNG; write it as .npy")
    if spec.kind is not SignalKind.RANGE_IMAGE:
        return values
    if spec.high * KITTI_DEPTH_SCALE > 65535:
        raise QuinrError(
            f"{path}: ranges up to {spec.high} m exceed a 16-bit PNG's 255.99 m; write it as .npy"
        )
    return np.rint(values.astype(np.float64) * KITTI_DEPTH_SCALE).astype(np.uint16)


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise QuinrError(f"{path}: is a folder; name a picture, a .npy array or a .bin scan")
    if not path.exists():
        raise QuinrError(f"{path}: no such file")


def _open_array(path: Path) -> npt.NDArray:
    """The array as it lies in the file, of a shape and type that can be a signal."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError, OverflowError) as error:
        reason = str(error).split("\n")[0]
        raise QuinrError(f"{path}: not an array of numbers that NumPy can read ({reason})") from error
    if not isinstance(array, np.ndarray):
        raise QuinrError(f"{path}: an archive of arrays; save one array by numpy.save")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise QuinrError(f"{path}: shape {array.shape}; needs (height, width) or (height, width, channels)")
    if array.dtype.kind not in "uif":
        raise QuinrError(f"{path}: elements of type {array.dtype}; needs integers or real numbers")
    return array


def _array_signal(array: npt.NDArray, path: Path) -> Signal:
    array = array.reshape(*array.shape[:2], -1)
    if array.dtype in (np.uint8, np.uint16):
        values = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return Signal(values, SignalSpec.of_image(values))
    finite = np.isfinite(array)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise QuinrError(f"{path}: element {where} is {array[where]}; replace what is not finite")
    if np.abs(array.astype(np.float64)).max() > np.finfo(np.float32).max:
        raise QuinrError(f"{path}: values beyond the range of float32; scale them")
    values = array.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if high == low:  # a constant needs an interval around it too
        low, high = low, float(np.float32(low + max(1.0, abs(low) * 1e-3)))
    height, width, channels = values.shape
    return Signal(values, SignalSpec(SignalKind.ARRAY, height, width, channels, low, high))
