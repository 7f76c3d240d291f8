"""Opus by libsndfile: whole Ogg files, container included."""

from __future__ import annotations

import io
from types import ModuleType

import numpy as np
import numpy.typing as npt

from quinr_pl.baselines.quality import best_within
from quinr_pl.errors import QuinrError
from quinr_pl.optional_package import optional_package
from quinr_pl.signals import SignalSpec

SAMPLING_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""In Hz, of what the codec takes."""
_STEPS = 250
"""From 6 to 256 kbit/s for a channel, about one each."""


class Opus:
    """An encoder of audio whose bitrate varies with the signal, as libsndfile sets it."""

    def encode(self, values: npt.NDArray, spec: SignalSpec, bpp: float) -> bytes:
        """The file of the highest bitrate that takes at most so many bits a sample.

        Args:
            values: (samples, channels).
            spec: What the values are.
            bpp: Bits for each sample of all channels.

        Returns:
            The file, the smallest that the encoder makes where none is so small.

        Raises:
            QuinrError: If the signal is no audio of a sampling rate that Opus has, or soundfile is missing.
        """
        rate = spec.attributes.get("sampling_rate")
        if rate not in SAMPLING_RATES:
            given = f"{spec.kind.name} at {rate} Hz" if rate else spec.kind.name
            known = ", ".join(map(str, SAMPLING_RATES))
            raise QuinrError(f"Opus: holds audio at {known} Hz, not {given}; leave it out, or resample it")
        soundfile = _soundfile()

        def encoded(quality: int) -> bytes:
            file = io.BytesIO()
            level = 1 - quality / _STEPS
            soundfile.write(file, values, rate, format="OGG", subtype="OPUS", compression_level=level)
            return file.getvalue()

        return best_within(encoded, _STEPS, bpp * spec.pixels / 8)

    def decode(self, data: bytes, spec: SignalSpec) -> npt.NDArray[np.float32]:
        """The audio of a file: (samples, channels)."""
        values: npt.NDArray[np.float32]
        values, _ = _soundfile().read(io.BytesIO(data), dtype="float32", always_2d=True)
        return values


def _soundfile() -> ModuleType:
    return optional_package("soundfile", "Opus")
