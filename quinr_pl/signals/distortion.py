"""How far decoded values are from a signal's, as pure functions of arrays."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


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
    difference = reference.astype(np.float64) - decoded.astype(np.float64)
    if mask is not None:
        difference = difference[mask]
    if difference.size == 0:
        raise ValueError("no pixel to compare")
    return float(np.mean(difference**2))


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
