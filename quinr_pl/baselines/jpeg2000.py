"""JPEG 2000 by OpenJPEG through glymur: raw codestreams, whose size is the rate."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.openjpeg import glymur
from quinr_pl.signals import SignalSpec

WAVELETS = ("9/7", "5/3")
_OWN_TYPES = (np.uint8, np.uint16)
_MOST_RESOLUTIONS = 6  # OpenJPEG's own default, which small images cannot have


@dataclass(frozen=True)
class JPEG2000:
    """An encoder's settings.

    The defaults are the strong ones: the irreversible 9/7 wavelet with the colour transform, 0.3 to 0.6 dB
    above the 5/3 wavelet that encoders start from.

    Args:
        wavelet: "9/7" irreversible or "5/3" reversible.
        colour_transform: Whether three channels are decorrelated first.
        bits: Depth, 8 or 16, that values of other types than 8 and 16 bits without a sign are rounded to.

    Raises:
        QuinrError: If a setting is none of these.
    """

    wavelet: str = "9/7"
    colour_transform: bool = True
    bits: int = 8

    def __post_init__(self) -> None:
        if self.wavelet not in WAVELETS:
            raise QuinrError(f"JPEG 2000 wavelet {self.wavelet}: choose from {', '.join(WAVELETS)}")
        if self.bits not in (8, 16):
            raise QuinrError(f"JPEG 2000 bits {self.bits}: 8 or 16")

    def encode(self, values: npt.NDArray, spec: SignalSpec, bpp: float) -> bytes:
        """The codestream of a signal at about a rate; its real rate is that of its size.

        Args:
            values: (*shape, channels). Of more than two axes, planes along the two longest are components.
            spec: What the values are.
            bpp: Bits per pixel to aim at.

        Raises:
            QuinrError: If the signal has one axis, the rate is not positive or there is no OpenJPEG.
        """
        if len(spec.shape) < 2:
            raise QuinrError(f"JPEG 2000: {spec.kind.name} of one axis; it holds two or more, leave it out")
        if not bpp > 0:
            raise QuinrError(f"JPEG 2000 rate {bpp} bpp: must be positive")
        samples = self._samples(values, spec)
        depth = 8 * samples.itemsize
        options: dict[str, Any] = {"cratios": [max(1.0, depth * spec.channels / bpp)]}
        options["irreversible"] = self.wavelet == "9/7"
        samples = np.ascontiguousarray(samples.transpose(_planes_last(spec.shape)))
        samples = samples.reshape(*samples.shape[:2], -1)
        if samples.shape[2] == 3:
            options["mct"] = self.colour_transform and len(spec.shape) == 2
        options["numres"] = min(_MOST_RESOLUTIONS, 1 + int(math.log2(min(samples.shape[:2]))))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "signal.j2k"
            glymur().Jp2k(path, data=samples if samples.shape[2] > 1 else samples[:, :, 0], **options)
            return path.read_bytes()

    def decode(self, codestream: bytes, spec: SignalSpec) -> npt.NDArray:
        """The signal of a codestream: (*shape, channels) of the dtype that the spec has."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "signal.j2k"
            path.write_bytes(codestream)
            samples = glymur().Jp2k(path)[:]
        order = _planes_last(spec.shape)
        sizes = (*spec.shape, spec.channels)
        samples = samples.reshape([sizes[axis] for axis in order]).transpose(np.argsort(order))
        if spec.dtype in _OWN_TYPES:
            return samples
        return spec.denormalize(samples.astype(np.float64) / (2**self.bits - 1))

    def _samples(self, values: npt.NDArray, spec: SignalSpec) -> npt.NDArray:
        if spec.dtype in _OWN_TYPES:
            return values
        dtype = np.uint8 if self.bits == 8 else np.uint16
        return np.rint(np.clip(spec.normalize(values), 0, 1) * (2**self.bits - 1)).astype(dtype)


def _planes_last(shape: Sequence[int]) -> list[int]:
    """Axes of (*shape, channels): the two longest in their order, then the others, channels last."""
    longest = sorted(range(len(shape)), key=lambda axis: (-shape[axis], axis))[:2]
    first = sorted(longest)
    return [*first, *(axis for axis in range(len(shape) + 1) if axis not in first)]


def inpaint(values: npt.NDArray, known: npt.NDArray[np.bool_], rounds: int = 200) -> npt.NDArray:
    """Continue known pixels smoothly over unknown ones, where a wavelet then finds nothing to code.

    Args:
        values: (height, width, channels).
        known: (height, width), at least one True.
        rounds: Of diffusion, after every pixel has taken a value from its neighbours.

    Returns:
        (height, width, channels) float64.
    """
    filled = np.where(known[:, :, None], values, 0.0)
    reached = known
    while not reached.all():
        total, count = _neighbours(filled), _neighbours(reached[:, :, None].astype(np.float64))
        grown = ~reached & (count[:, :, 0] > 0)
        filled[grown] = (total / np.maximum(count, 1))[grown]
        reached = reached | grown
    for _ in range(rounds):
        mean = _neighbours(filled) / _neighbours(np.ones_like(filled))
        filled = np.where(known[:, :, None], filled, mean)
    return filled


def _neighbours(values: npt.NDArray) -> npt.NDArray:
    """Sum over the pixels above, below, left and right."""
    framed = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    total: npt.NDArray = framed[:-2, 1:-1] + framed[2:, 1:-1] + framed[1:-1, :-2] + framed[1:-1, 2:]
    return total
