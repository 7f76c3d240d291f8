"""From what is asked of a file to the settings of its fit: tables of measured settings.

``compress.yaml`` and ``compress_coordinates.yaml`` hold what all fits share. docs/compress.md has the figures
behind the tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quinr_pl.codec.file.encoder import mask_bytes
from quinr_pl.codec.rate_control import FEWEST_BYTES
from quinr_pl.commands.ask import COORDINATES, LATENTS
from quinr_pl.network.latent.tiles import STEP_PIXELS, Tiles
from quinr_pl.signals import SignalSpec

CONFIGS = {LATENTS: "compress.yaml", COORDINATES: "compress_coordinates.yaml"}
"""The packaged config of each kind of network."""

FEWEST_LATENT_BYTES = 150
"""The smallest file, the mask left out, that a latent network is chosen for; coordinates take the rest.

At 155 bytes latents are 0.4 dB ahead of coordinates on a photograph of 128 x 96 pixels, 15 dB on a strip.
"""

_LONGEST_EPOCH = 2000

_AXIS_SAMPLES = 2000
"""Of a single axis, up to which frequencies start as those of pictures do; of more they reach further.

1.4 s of speech, 68,545 samples, have an SNR of 11.7 dB after 400 steps with 30 times the frequencies, and of
4.0 dB with 300 times."""

_GAINS_BELOW, _GAIN_LOST = 35.25, 0.3
"""dB of JPEG 2000, and what each one above costs the gain: of photographs at 0.5 and 1 bit a pixel."""


@dataclass(frozen=True)
class Training:
    """How long a fit trains, and on what.

    Args:
        steps: Number of steps.
        quarter: Share of the steps at a quarter of the resolution.
        half: Share of the steps at half of it.
        hard_share: Share of the work with rounded latents.
        precondition_frequency: Steps between SOAP's eigenbases.
        coordinate_steps: Number of steps of a network of coordinates.
        gain: dB above JPEG 2000 that a photograph comes to, to tell before the fit; less where that has more
            than `_GAINS_BELOW`.
    """

    steps: int
    quarter: float
    half: float
    hard_share: float
    precondition_frequency: int
    coordinate_steps: int
    gain: float

    def expected(self, jpeg2000: float, spec: SignalSpec) -> float:
        """PSNR that a fit comes to, of what JPEG 2000 has at the same size, both in dB."""
        return jpeg2000 + self.gain - _GAIN_LOST * _beyond(jpeg2000, spec)

    def jpeg2000(self, expected: float, spec: SignalSpec) -> float:
        """PSNR that JPEG 2000 has where a fit comes to an `expected` one, both in dB."""
        alike = expected - self.gain
        return alike + _GAIN_LOST / (1 - _GAIN_LOST) * _beyond(alike, spec)


def _beyond(psnr: float, spec: SignalSpec) -> float:
    """How many dB lie where the gain falls; none of a signal with a mask, which keeps its gain."""
    return max(0.0, psnr - _GAINS_BELOW) if spec.mask is None else 0.0


TRAININGS = {
    1: Training(1350, 0.49, 0.31, 0.08, 5, 1500, 1.2),
    2: Training(3500, 0.38, 0.31, 0.08, 5, 3000, 1.65),
    3: Training(6400, 0.30, 0.29, 0.08, 1, 6000, 2.2),
    4: Training(20000, 0.20, 0.20, 0.06, 1, 15000, 2.3),
    5: Training(30000, 0.05, 0.10, 0.05, 1, 40000, 2.4),
}
"""By effort."""

OF_POINTS = {"data.gaps": 8, "data.firings": 2}
"""Settings of data where points are asked for; docs/lidar.md tells what they gain."""

_SMALL_PIXELS = 1e5
_SMALL_SHARES = (0.1, 0.2)  # steps of a small signal cost nearly the same at all resolutions


@dataclass(frozen=True)
class SizedNetwork:
    """A latent network, and which files it is taken for.

    Args:
        least_effort: The lowest effort.
        least_bytes: The smallest file, the mask left out.
        bpp: The lowest and the highest rate, the mask left out.
        pace: Steps that it takes for each one of a training.
        arguments: Of the network.
        of_scans: Whether it is for scans of known rays alone.
    """

    least_effort: int
    least_bytes: int
    bpp: tuple[float, float]
    pace: float
    arguments: Mapping[str, int]
    of_scans: bool = False

    def suits(self, own_bytes: float, bpp: float, effort: int, scan: bool = False) -> bool:
        """Whether a file is large enough for it, its fit long enough, and its signal of the kind."""
        lowest, highest = self.bpp
        large = own_bytes >= self.least_bytes and lowest <= bpp < highest
        return large and effort >= self.least_effort and (scan or not self.of_scans)


def _sizes(qubits: int, uploads: int, filters: int, neighbours: int, context_width: int) -> dict[str, int]:
    return {
        "qubits": qubits,
        "angles": 2 * qubits,
        "uploads": uploads,
        "filters": filters,
        "neighbours": neighbours,
        "context_width": context_width,
    }


_ANY, _LOW, _MIDDLE, _HIGH = (0.0, math.inf), (0.0, 0.3), (0.3, 0.7), (0.3, math.inf)

NETWORKS = (
    SizedNetwork(4, 14_000, _MIDDLE, 0.5, _sizes(5, 3, 2, 24, 24)),
    SizedNetwork(3, 14_000, _MIDDLE, 0.7, _sizes(5, 2, 2, 24, 24)),
    SizedNetwork(1, 14_000, _HIGH, 1.0, _sizes(4, 2, 2, 24, 24)),
    SizedNetwork(3, 4_000, _HIGH, 1.05, _sizes(3, 2, 2, 24, 16), of_scans=True),
    SizedNetwork(4, 4_500, _LOW, 0.45, _sizes(5, 3, 2, 24, 24)),
    SizedNetwork(3, 4_500, _LOW, 0.65, _sizes(5, 2, 2, 24, 24)),
    SizedNetwork(2, 4_500, _LOW, 0.8, _sizes(4, 2, 2, 24, 24)),
    SizedNetwork(3, 1_900, _LOW, 0.8, _sizes(4, 2, 2, 24, 16)),
    SizedNetwork(1, 1_300, _ANY, 1.15, _sizes(3, 2, 2, 12, 12)),
    SizedNetwork(1, 700, _ANY, 1.0, _sizes(3, 1, 1, 6, 6)),
    SizedNetwork(1, 0, _ANY, 1.0, _sizes(2, 1, 0, 4, 4)),
)
"""The first one that suits is taken.

Larger ones take 2 to 5 % off the cost where a fit has time for them; see docs/research/larger-networks.md."""

_FEWER_PASSES = 0.25
"""By this power of its size a large signal has fewer passes: its weights learn from more pixels in each."""
_LARGE_EPOCHS = 4  # validations of a large signal, each of which takes as long as many steps

_COARSE_BELOW = 0.05  # bits a pixel, up to which grids of the pixels' own resolution do not pay
_COARSEST = 6  # binary logarithm of the pixels a side for a latent of the coarsest grid


_ENLARGEMENTS = ((0.28, 2), (0.07, 1))
"""How many coarse stages end by enlarging all grids, from which bits a pixel on.

Others let a finer grid join. docs/research/enlarged-grids.md has the figures."""
_ENLARGEMENTS_IN_MASK = ((0.56, 2), (0.2, 0), (0.07, 1))
"""The same of range images, the mask left out."""
_LARGE_ENLARGEMENTS = ((0.56, 2), (0.28, 1))
"""The same of a picture that is trained on tiles: it shows less in a pixel."""
_OWN_FILTERS, _LARGE_OWN_FILTERS = 0.15, 0.3
"""Bits a pixel from which each doubling of the resolution has a filter of its own, and those on tiles.

docs/research/filters-and-steps-of-grids.md has the figures. Range images gain nothing."""
_OWN_FILTERS_BYTES = 7_000  # of smaller files filters take a larger share than they save


def network_kind(most_bytes: int, spec: SignalSpec) -> str:
    """Which kind of network suits a file of so many bytes.

    Latents do not know that slices of a volume are alike; docs/studies/signals.md has the measurement.
    """
    if len(spec.shape) > 2 or most_bytes - mask_bytes(spec) < FEWEST_LATENT_BYTES:
        return COORDINATES
    return LATENTS


def fewest_bytes(kind: str, spec: SignalSpec) -> int:
    """The smallest file that a kind of network is chosen for, its mask included."""
    return mask_bytes(spec) + (FEWEST_LATENT_BYTES if kind == LATENTS else FEWEST_BYTES)


def latent_plan(spec: SignalSpec, most_bytes: int, effort: int, rate_weight: float) -> dict[str, Any]:
    """Settings of a fit of a latent network, by the flags that set them.

    Args:
        spec: Of the signal.
        most_bytes: About what the file will have.
        effort: 1 to 5.
        rate_weight: λ that the fit begins with.
    """
    own_bytes = most_bytes - mask_bytes(spec)
    bpp = 8 * own_bytes / spec.pixels
    scan = spec.scanner is not None
    sized = next(network for network in NETWORKS if network.suits(own_bytes, bpp, effort, scan))
    training = TRAININGS[effort]
    steps = round(sized.pace * training.steps)
    small = spec.pixels < _SMALL_PIXELS
    shares = _SMALL_SHARES if small else (training.quarter, training.half)
    finest = 1 if bpp < _COARSE_BELOW and not small else 0
    coarsest = min(_COARSEST, max(2, int(math.log2(max(spec.shape))) - 1))
    *rows, width = spec.shape
    tiles = Tiles(math.prod(rows), width, coarsest, STEP_PIXELS)
    large = tiles.count(0) > 1
    if large:
        shares, length = _on_tiles(steps, shares, tiles, spec.pixels)
    else:
        length = _length(steps)
    return {
        **{f"model.network.{name}": value for name, value in sized.arguments.items()},
        "model.network.finest": finest,
        "model.network.grids": coarsest - finest + 1,
        "model.network.rate_weight": float(f"{rate_weight:.3g}"),
        "model.network.coarse_steps": list(shares),
        "model.network.enlargements": _enlargements(bpp, spec, large),
        "model.network.upsampling": _upsampling(own_bytes, bpp, spec, large),
        "model.network.hard_share": training.hard_share,
        "model.precondition_frequency": training.precondition_frequency,
        **length,
    }


def _enlargements(bpp: float, spec: SignalSpec, large: bool) -> int:
    """How many coarse stages end by enlarging all grids."""
    if _is_row(spec):
        return 0
    table = _LARGE_ENLARGEMENTS if large else _ENLARGEMENTS if spec.mask is None else _ENLARGEMENTS_IN_MASK
    return next((number for least, number in table if bpp >= least), 0)


def _upsampling(own_bytes: float, bpp: float, spec: SignalSpec, large: bool) -> str:
    """Whether each doubling has a filter of its own."""
    least = _LARGE_OWN_FILTERS if large else _OWN_FILTERS
    picture = spec.mask is None and not _is_row(spec)
    return "own" if picture and own_bytes >= _OWN_FILTERS_BYTES and bpp >= least else "shared"


def _is_row(spec: SignalSpec) -> bool:
    """Whether a signal has one axis, of which neither enlargements nor filters were measured."""
    return math.prod(spec.shape[:-1]) == 1


def _on_tiles(
    steps: int, shares: tuple[float, float], tiles: Tiles, pixels: int
) -> tuple[tuple[float, float], dict[str, Any]]:
    """Shares of the steps at 1/4 and 1/2 of the resolution, and the length of a training on tiles.

    A step of a small signal is a pass over the tiles of a large one; shares are first those of passes.
    """
    passes = steps * (STEP_PIXELS / pixels) ** _FEWER_PASSES
    of_passes = (*shares, 1 - sum(shares))
    on_tiles = [
        passes * share * tiles.count(octave) for share, octave in zip(of_passes, (2, 1, 0), strict=True)
    ]
    total = math.ceil(sum(on_tiles))
    length = {
        "trainer.max_steps": total,
        "data.steps_per_epoch": max(_LONGEST_EPOCH, math.ceil(total / _LARGE_EPOCHS)),
    }
    quarter, half = (round(number / total, 4) for number in on_tiles[:2])
    return (quarter, half), length


def coordinate_plan(spec: SignalSpec, effort: int) -> dict[str, Any]:
    """Settings of the training of a network of coordinates, by the flags that set them.

    Args:
        spec: Of the signal.
        effort: 1 to 5.
    """
    plan = _length(TRAININGS[effort].coordinate_steps)
    if len(spec.shape) == 1 and spec.pixels > _AXIS_SAMPLES:
        plan["model.network.coordinate_scale"] = float(f"{spec.pixels / _AXIS_SAMPLES:.3g}")
    return plan


def _length(steps: int) -> dict[str, Any]:
    return {"trainer.max_steps": steps, "data.steps_per_epoch": min(steps, _LONGEST_EPOCH)}
