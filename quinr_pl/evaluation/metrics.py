"""Distortion and rate, as pure functions of arrays and counts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import SignalSpec
from quinr_pl.signals.distortion import psnr


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
        values: The signal, (*shape, channels).
        decoded: What the file decodes to, of the same shape.
        spec: Of the signal.
        valid: Pixels that were measured, (*shape); None where all were.

    Returns:
        ``bytes``, ``bpp`` and ``psnr``, and what the signal's kind measures beyond them.
    """
    return {
        "bytes": size,
        "bpp": bits_per_pixel(size, spec.pixels),
        "psnr": psnr(values, decoded, spec.peak),
        **spec.kind.measure(values, decoded, spec.peak, valid),
    }
