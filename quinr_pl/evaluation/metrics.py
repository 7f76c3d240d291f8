"""Distortion and rate, as pure functions of arrays and counts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import SignalSpec


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


def bits_per_pixel(size: int, pixels: int) -> float:
    """Rate of a file of ``size`` bytes."""
    return 8 * size / pixels


def weighed_psnr(psnr: float, bpp: float, rate_weight: float) -> float:
    """PSNR in dB of a squared error to which the rate adds ``rate_weight`` for each bit a pixel."""
    if rate_weight == 0:
        return psnr
    return -10 * math.log10(10 ** (-psnr / 10) + rate_weight * bpp)


def rate_and_distortion(
    size: int,
    values: npt.NDArray,
    decoded: npt.NDArray,
    spec: SignalSpec,
    valid: npt.NDArray[np.bool_] | None,
) -> dict[str, float]:
    """The figures of a decoded file.

    Args:
        size: Bytes of the file.
        values: The signal, (height, width, channels).
        decoded: What the file decodes to, of the same shape.
        spec: Of the signal.
        valid: Pixels of a range image with a return; None for other signals.

    Returns:
        ``bytes``, ``bpp`` and ``psnr``; for range images also ``rmse`` in metres, and ``rmse_valid`` and
        ``psnr_valid`` over the pixels with a return.
    """
    figures = {
        "bytes": size,
        "bpp": bits_per_pixel(size, spec.pixels),
        "psnr": psnr(values, decoded, spec.peak),
    }
    if valid is not None:
        figures["rmse"] = rmse(values, decoded)
        figures["rmse_valid"] = rmse(values, decoded, valid)
        figures["psnr_valid"] = psnr(values, decoded, spec.peak, valid)
    return figures
