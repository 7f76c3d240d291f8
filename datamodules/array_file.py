"""Arrays of NumPy's `.npy` files as signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.notice import notice
from quinr_pl.datamodules.scan_file import finite_points
from quinr_pl.errors import QuinrError
from quinr_pl.signals import ARRAY, VOLUME, Signal, SignalSpec, image_spec
from quinr_pl.signals.files import signal_of
from quinr_pl.signals.interval import check_loss, interval_of
from quinr_pl.signals.volume import AXES as VOLUME_AXES
from quinr_pl.signals.volume import volume_content

_WORTH_SAYING = 1e-5
_POINT_NUMBERS = range(3, 9)
_FEWEST_POINTS = 256
_FEW_CHANNELS = 4
_IMAGE_AXES = ("height", "width")


def read_array(path: Path) -> npt.NDArray:
    """An array of numbers as it lies in the file, mapped and not yet read.

    Raises:
        QuinrError: If it is no array of integers or real numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError, OverflowError) as error:
        reason = str(error).split("\n")[0]
        raise QuinrError(f"{path}: not an array of numbers that NumPy can read ({reason})") from error
    if not isinstance(array, np.ndarray):
        raise QuinrError(f"{path}: an archive of arrays; save one array by numpy.save")
    if array.dtype.kind not in "uif":
        remedies = {"b": "astype(numpy.uint8)", "c": "numpy.stack([a.real, a.imag], -1)"}
        remedy = remedies.get(array.dtype.kind, "one field or column of numbers")
        raise QuinrError(
            f"{path}: elements of type {array.dtype}; needs integers or real numbers, save {remedy}"
        )
    if array.size == 0:
        raise QuinrError(f"{path}: shape {array.shape} holds no element; there is nothing to compress")
    return array


def looks_like_points(array: npt.NDArray) -> bool:
    """Whether an array is more likely a list of points than a picture."""
    if array.ndim != 2 or array.dtype.kind != "f":
        return False
    return array.shape[1] in _POINT_NUMBERS and len(array) >= _FEWEST_POINTS


def array_points(array: npt.NDArray, path: Path) -> npt.NDArray[np.float32]:
    """The points of an array of (points, 3 or more) numbers.

    Raises:
        QuinrError: If it has another shape, or numbers that are not finite.
    """
    if array.ndim != 2 or array.shape[1] < 3:
        raise QuinrError(f"{path}: shape {array.shape}; --data.points true needs (points, 3 or more)")
    return finite_points(array, path)


def array_signal(array: npt.NDArray, path: Path, channel_axis: int | None = None) -> Signal:
    """An array as a signal: an image where it holds bytes or 16-bit words, else real numbers.

    The file of a signal holds float32. Values that lose more than a thousandth of their range by that are
    refused; a hundredth of that is said.

    Args:
        array: (height, width) or three axes, one of them the channels.
        path: Its file, for messages.
        channel_axis: Axis of the channels, -3 to 2; the last when left out, where the shape does not speak
            against it.

    Returns:
        The signal, its values in the array's own type, channels last.

    Raises:
        QuinrError: If the shape or the values cannot be a signal.
    """
    array = _channels_last(array, path, channel_axis, _IMAGE_AXES)
    values = np.array(array, array.dtype.newbyteorder("="), order="C")
    if values.dtype in (np.uint8, np.uint16):
        return Signal(values, image_spec(values))
    low, high = interval_of(values, path)
    _tell_loss(values, high - low, path)
    return Signal(values, SignalSpec.of(ARRAY, values, (low, high)))


def array_volume(array: npt.NDArray, path: Path, channel_axis: int | None = None) -> Signal:
    """An array as a volume, which decodes to its own type.

    Args:
        array: (depth, height, width) or four axes, one of them the channels.
        path: Its file, for messages.
        channel_axis: Axis of the channels; the last of four when left out.

    Raises:
        QuinrError: If the shape or the values cannot be a volume.
    """
    array = _channels_last(array, path, channel_axis, VOLUME_AXES)
    return signal_of(VOLUME, volume_content(array, path))


def _channels_last(
    array: npt.NDArray, path: Path, channel_axis: int | None, axes: tuple[str, ...]
) -> npt.NDArray:
    """An array of some axes with another one behind them, its channels."""
    count = len(axes)
    if array.ndim == count and channel_axis is None:
        return array[..., None]
    if array.ndim != count + 1:
        names = ", ".join(axes)
        remedy = "say --data.volume true, or reshape it" if array.ndim == count + 2 else "reshape it"
        raise QuinrError(f"{path}: shape {array.shape}; needs ({names}) or ({names}, channels), {remedy}")
    if channel_axis is None:
        if array.shape[-1] > max(_FEW_CHANNELS, min(array.shape[:-1])):
            remedy = ", or --data.volume true where there are none" if array.ndim == len(VOLUME_AXES) else ""
            raise QuinrError(
                f"{path}: shape {array.shape}, which axis are the channels? say --data.channel_axis 0 to "
                f"{count}{remedy}"
            )
        return array
    if not -count - 1 <= channel_axis <= count:
        raise QuinrError(f"--data.channel_axis {channel_axis}: the array has axes 0 to {count}")
    moved = np.moveaxis(array, channel_axis, -1)
    if channel_axis % (count + 1) != count:
        notice(f"{path}: decodes to {moved.shape}, channels last")
    return moved


def _tell_loss(values: npt.NDArray, peak: float, path: Path) -> None:
    """Compares the values with what float32 can hold of them."""
    if values.dtype in (np.float32, np.float16, np.int8, np.int16):
        return
    # Where float32 tells the extremes apart, float64 measures well what it loses, of integers too.
    rounding = np.abs(values.astype(np.float32) - values.astype(np.float64)).max()
    lost = check_loss(float(rounding), peak, values, path)
    if lost > _WORTH_SAYING:
        notice(f"{path}: values decode as float32, which is off by up to {lost:.4%} of their range")
