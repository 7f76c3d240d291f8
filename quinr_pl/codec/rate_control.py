"""From an asked rate or quality to an architecture and a quantizer."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from quinr_pl.codec.rounding.compensated import Compensated
from quinr_pl.errors import QuinrError
from quinr_pl.fields import with_defaults
from quinr_pl.network import QuINR

BITS_PER_WEIGHT = 6.0
"""Where compensated rounding costs a picture's network less than 0.1 dB; see docs/quantization.md."""

_UPLOADS = 2
_LADDER = (
    (2, 3, 6, 250),
    (3, 3, 9, 850),
    (4, 4, 8, 1720),
    (4, 4, 12, 3500),
    (5, 4, 12, 7300),
    (6, 4, 12, math.inf),
)
# SIREN layers, qubits and angles, up to so many bytes; the width of the SIREN layers fills what is left. The
# points of configs/kodak_rd.yaml, with bounds between neighbours.
_WIDEST = 2048
_DB_PER_OCTAVE = 1.8
_BEYOND, _LEAST_BEYOND = 1.5, 0.1
FEWEST_BYTES = 120
"""The smallest file that a network is chosen for."""


def rounding_for_bytes(most_bytes: int, weights: int) -> Compensated:
    """Rounding that aims at a size: the file of a network of so many weights takes at most so many bytes.

    It is done in seconds. Stepwise rounding takes minutes at each of the fits that look for a PSNR or for the
    best settings, and gains 0.04 dB on a picture and 0.17 dB on a scan at six bits (docs/quantization.md).

    Args:
        most_bytes: Size of the whole file but for its mask.
        weights: Number of the network's weights.
    """
    return Compensated(rate=8 * most_bytes / weights)


def network_for_bytes(most_bytes: int, channels: int, axes: int = 2) -> dict[str, Any]:
    """The network that fills a file of so many bytes at about six bits for each weight.

    ``rounding_for_bytes`` aims at the bytes themselves, so that the file comes out at most that large.

    Args:
        most_bytes: Size of the whole file but for its mask.
        channels: Of the signal.
        axes: Of the signal, the channels' left out.

    Returns:
        Constructor arguments of QuINR.

    Raises:
        QuinrError: If a file can't be that small.
    """
    if most_bytes < FEWEST_BYTES:
        raise QuinrError(
            f"--bpp: {most_bytes} bytes in all are too few; the smallest file has {FEWEST_BYTES}"
        )
    wanted = 8 * most_bytes / BITS_PER_WEIGHT
    sine_layers, qubits, angles = next(shape for *shape, limit in _LADDER if most_bytes <= limit)
    candidates = [
        network
        for fewer in range(1, 2 * angles)
        for network in _nearest_widths(sine_layers, qubits, fewer, wanted, channels, axes)
    ]
    best = min(candidates, key=lambda network: _misfit(network, wanted, channels, angles))
    return best | {"out_features": channels}


def _misfit(network: dict[str, Any], wanted: float, channels: int, angles: int) -> float:
    """Distance from the wanted number of weights first, then from the shape that was measured."""
    size = abs(math.log2(_weights(network, channels) / wanted))
    return 20 * max(0.0, size - 0.06) + abs(math.log2(network["angles"] / angles))


def _nearest_widths(
    sine_layers: int, qubits: int, angles: int, wanted: float, channels: int, axes: int
) -> list[dict[str, Any]]:
    """The widest network of a shape with fewer weights than wanted, and the next wider one."""

    def network(width: int) -> dict[str, Any]:
        return {
            "in_features": axes,
            "qubits": qubits,
            "angles": angles,
            "uploads": _UPLOADS,
            "layers": 1,
            "features": "own",
            "readout": "linear",
            "stages": 1,
            "stage_norm": "scaled",
            "sine_layers": sine_layers,
            "sine_width": width,
        }

    widths = range(1, _WIDEST + 1)
    above = bisect_left(widths, wanted, key=lambda width: _weights(network(width), channels))
    return [network(width) for width in widths[max(0, above - 1) : above + 1]]


def _weights(network: dict[str, Any], channels: int) -> int:
    return QuINR.cost(with_defaults(QuINR.FIELDS, network | {"out_features": channels})).parameters


def bytes_for_psnr(measured: Sequence[tuple[int, float]], psnr: float) -> int:
    """Size at which to try next for a PSNR, from what earlier tries gave.

    Args:
        measured: Bytes and PSNR in dB of earlier tries, at least one.
        psnr: The PSNR wanted, in dB.

    Returns:
        Bytes, on the line through the two nearest tries on a logarithmic scale of bytes; with a single
        try, or two that contradict each other, a doubling counts as 1.8 dB.
    """
    nearest = sorted(measured, key=lambda point: abs(point[1] - psnr))[:2]
    size, quality = nearest[0]
    slope = _DB_PER_OCTAVE
    if len(nearest) == 2 and nearest[1][0] != size:
        octaves = math.log2(nearest[1][0] / size)
        slope = min(max((nearest[1][1] - quality) / octaves, _DB_PER_OCTAVE / 3), 3 * _DB_PER_OCTAVE)
    return max(FEWEST_BYTES, round(size * 2 ** min(max((psnr - quality) / slope, -4.0), 4.0)))


def next_bias(aims: Sequence[tuple[float, float]]) -> float:
    """Where to steer the next fit: between earlier biases with too little and too much, or beyond the last.

    Args:
        aims: Bias of `RateControl` in each earlier fit, and by how much its file was above what is asked for,
            both in ln of bytes or of the inverse error; at least one fit.
    """
    short = [bias for bias, missed in aims if missed < 0]
    over = [bias for bias, missed in aims if missed > 0]
    if short and over:
        return (max(short) + min(over)) / 2
    bias, missed = aims[-1]
    if missed < 0:  # what is a little too much is trimmed, and what is too little is lost
        return bias + min(max(-_BEYOND * missed, _LEAST_BEYOND), 1.0)
    return bias - min(_BEYOND * missed, 1.0)
