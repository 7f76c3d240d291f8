"""Distortion and rate, as pure functions of arrays and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import Points, SignalSpec
from quinr_pl.signals.distortion import psnr
from quinr_pl.signals.point_distortion import point_figures


def bits_per_pixel(size: int, pixels: int) -> float:
    """Rate of a file of ``size`` bytes."""
    return 8 * size / pixels


def weighed_psnr(psnr: float, bpp: float, rate_weight: float) -> float:
    """PSNR in dB of a squared error to which the rate adds ``rate_weight`` for each bit a pixel."""
    if rate_weight == 0:
        return psnr
    return -10 * math.log10(10 ** (-psnr / 10) + rate_weight * bpp)


def finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures as JSON has them: None for those that are not finite."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def rate_and_distortion(
    size: int,
    values: npt.NDArray,
    decoded: npt.NDArray,
    spec: SignalSpec,
    valid: npt.NDArray[np.bool_] | None,
    points: Points | None = None,
    decoded_points: Points | None = None,
) -> dict[str, float]:
    """The figures of a decoded file.

    Args:
        size: Bytes of the file.
        values: The signal, (*shape, channels).
        decoded: What the file decodes to, of the same shape.
        spec: Of the signal.
        valid: Pixels that were measured, (*shape); None where all were.
        points: Of the scan that the signal was made from, (points, 3).
        decoded_points: What the file gives of them; those of the decoded pixels when left out.

    Returns:
        ``bytes``, ``bpp`` and ``psnr``, and what the signal's kind measures beyond them; of a scan also
        ``bits_per_point`` and the figures of `point_figures`, and ``psnr_intensity`` over the pixels with a
        return, whose peak is the scale of the intensities.
    """
    figures = {
        "bytes": size,
        "bpp": bits_per_pixel(size, spec.pixels),
        "psnr": psnr(values, decoded, spec.peak),
        **spec.kind.rates(size, spec.pixels, spec.attributes),
        **spec.kind.measure(values, decoded, spec.peak, valid),
    }
    if spec.intensity is not None:
        given, found = spec.normalize(values[..., 1]), spec.normalize(decoded[..., 1])
        figures["psnr_intensity"] = psnr(given, found, spec.intensity.weight / 100, valid)
    if decoded_points is None:
        decoded_points = spec.points(decoded)
    if points is not None and decoded_points is not None:
        figures |= point_figures(points, decoded_points)
        figures["bits_per_point"] = 8 * size / len(points)
    return figures
