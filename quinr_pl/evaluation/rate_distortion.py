"""Curves of distortion against rate, and how far one lies from another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

Points = Sequence[tuple[float, float]]


def envelope(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats: rate and quality both rise from one to the next.

    Args:
        points: Pairs of bits per pixel and PSNR in dB, in any order.
    """
    best: list[tuple[float, float]] = []
    for bpp, psnr in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or psnr > best[-1][1]:
            best.append((bpp, psnr))
    return best


def bjontegaard_rate(anchor: Points, test: Points) -> float | None:
    """Mean difference of rate at equal quality (Bjøntegaard 2001, VCEG-M33), by piecewise cubics.

    Args:
        anchor: Pairs of bits per pixel and PSNR in dB.
        test: The same of the method in question.

    Returns:
        Percent, negative where the test needs fewer bits, over the qualities that both reach; None where
        there are none.
    """
    difference = _mean_difference(
        [(psnr, math.log10(bpp)) for bpp, psnr in envelope(anchor)],
        [(psnr, math.log10(bpp)) for bpp, psnr in envelope(test)],
    )
    return None if difference is None else 100 * (10**difference - 1)


def bjontegaard_psnr(anchor: Points, test: Points) -> float | None:
    """Mean difference of quality at equal rate on a logarithmic scale; see `bjontegaard_rate`.

    Returns:
        dB, positive where the test is better, over the rates that both reach; None where there are none.
    """
    return _mean_difference(
        [(math.log10(bpp), psnr) for bpp, psnr in envelope(anchor)],
        [(math.log10(bpp), psnr) for bpp, psnr in envelope(test)],
    )


def average(curves: Mapping[str, Mapping[str, tuple[float, float]]]) -> list[tuple[float, float]]:
    """Mean rate and mean quality over images, rate point by rate point.

    Args:
        curves: Image -> rate point's name -> pair of bits per pixel and PSNR in dB.

    Returns:
        A pair for each rate point that every image has, by rising rate.
    """
    if not curves:
        return []
    shared = set.intersection(*(set(curve) for curve in curves.values()))
    pairs = [np.mean([curve[point] for curve in curves.values()], axis=0) for point in shared]
    return sorted((float(bpp), float(psnr)) for bpp, psnr in pairs)


def psnr_at(points: Points, bpp: float) -> float | None:
    """Quality of a curve at a rate, interpolated over its logarithm; None outside the curve."""
    curve = [(math.log10(rate), psnr) for rate, psnr in envelope(points)]
    x = math.log10(bpp)
    if len(curve) < 2 or not curve[0][0] <= x <= curve[-1][0]:
        return None
    return float(_interpolator(curve)(x))


def _mean_difference(anchor: Points, test: Points) -> float | None:
    if min(len(anchor), len(test)) < 2:
        return None
    low = max(anchor[0][0], test[0][0])
    high = min(anchor[-1][0], test[-1][0])
    if high <= low:
        return None
    areas = [float(_interpolator(curve).integrate(low, high)) for curve in (anchor, test)]
    return (areas[1] - areas[0]) / (high - low)


def _interpolator(points: Points) -> PchipInterpolator:
    x, y = _columns(points)
    return PchipInterpolator(x, y)


def _columns(points: Points) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    columns = np.array(points, dtype=np.float64)
    return columns[:, 0], columns[:, 1]
