"""How far decoded values are from a signal's, as pure functions of arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_PIECE = 1 << 22


def mean_squared_error(
    reference: npt.NDArray, decoded: npt.NDArray, mask: npt.NDArray[np.bool_] | None = None
) -> float:
    """Mean of squared differences over all values, or those of the pixels in a mask.

    Args:
        reference: Array of any shape.
        decoded: Array of the same shape.
        mask: Of the leading dimensions; all pixels when left out.

    Raises:
        ValueError: If the shapes differ or no pixel is left.
    """
    if reference.shape != decoded.shape:
        raise ValueError(f"shapes {reference.shape} and {decoded.shape} differ")
    if mask is not None:
        reference, decoded = reference[mask], decoded[mask]
    if reference.size == 0:
        raise ValueError("no pixel to compare")
    # Piece by piece: in double precision a picture takes eight times its memory, and more than once.
    total, flat, other = 0.0, reference.reshape(-1), decoded.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        piece = slice(start, start + _PIECE)
        difference = flat[piece].astype(np.float64) - other[piece].astype(np.float64)
        total += float(np.square(difference).sum())
    return total / reference.size


def psnr(
    reference: npt.NDArray,
    decoded: npt.NDArray,
    peak: float,
    mask: npt.NDArray[np.bool_] | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal arrays. See mean_squared_error."""
    error = mean_squared_error(reference, decoded, mask)
    return 10 * math.log10(peak**2 / error) if error > 0 else math.inf


def rmse(reference: npt.NDArray, decoded: npt.NDArray, mask: npt.NDArray[np.bool_] | None = None) -> float:
    """Root mean squared error in the units of the values. See mean_squared_error."""
    return math.sqrt(mean_squared_error(reference, decoded, mask))
