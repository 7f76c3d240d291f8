"""The values that targets 0 and 1 stand for, of signals whose kind has no range of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

MOST_LOST = 1e-3
"""Share of the range by which single precision may move a value."""


_REAL = np.dtype(np.float32)


def interval_of(values: npt.NDArray, path: Path, decoded: np.dtype = _REAL) -> tuple[float, float]:
    """Least and greatest value in single precision, in which files hold them; wider for a constant.

    Args:
        values: Integers or real numbers, (*shape, channels).
        path: Their file, for messages.
        decoded: Type of decoded values, which has room for the interval.

    Raises:
        QuinrError: If a value is not finite, or single precision does not tell the values apart.
    """
    finite = np.isfinite(values)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise QuinrError(f"{path}: element {where} is {values[where]}; replace what is not finite")
    least, most = values.min(), values.max()
    if max(abs(float(least)), abs(float(most))) > float(np.finfo(np.float32).max):
        raise QuinrError(f"{path}: values beyond the range of float32; scale them")
    low, high = (_single(extreme, decoded) for extreme in (least, most))
    if least == most:
        return _around(low, decoded)
    moved = max(abs(low - float(least)), abs(high - float(most)))
    check_loss(moved, float(most) - float(least), values, path)
    return low, high


def check_loss(moved: float, peak: float, values: npt.NDArray, path: Path) -> float:
    """The share of the range by which single precision moves values.

    Args:
        moved: How far, in their units.
        peak: The range.
        values: They themselves.
        path: Their file, for messages.

    Raises:
        QuinrError: If it is more than a thousandth.
    """
    lost = moved / peak if peak > 0 else 1.0
    if lost > MOST_LOST:
        raise QuinrError(
            f"{path}: values from {values.min()} to {values.max()} would be off by {lost:.1%} of their range "
            "as float32, which the compressed file holds; subtract their smallest before saving them"
        )
    return lost


def _single(value: np.number, decoded: np.dtype) -> float:
    """The nearest single that the type of decoded values has room for."""
    single = np.float32(value)
    if decoded.kind in "iu" and float(single) > np.iinfo(decoded).max:
        single = np.nextafter(single, np.float32(0))
    return float(single)


def _around(value: float, decoded: np.dtype) -> tuple[float, float]:
    """An interval that begins at a value, or ends there where the type of decoded values has none above."""
    width = max(1.0, abs(value) * 1e-3)
    if decoded.kind in "iu" and value + width > np.iinfo(decoded).max:
        return float(np.float32(value - width)), value
    return value, float(np.float32(value + width))
