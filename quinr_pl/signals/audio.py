"""Audio: amplitudes over time, of one or more channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.fields import Choice, Field, Integer
from quinr_pl.optional_package import optional_package
from quinr_pl.signals.drawing import Picture
from quinr_pl.signals.interval import interval_of
from quinr_pl.signals.kind import Attributes, FileContent, SignalKind

_FORMATS = {".wav": "WAV", ".flac": "FLAC"}
_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "PCM_U8": 8, "PCM_S8": 8}
"""Of a sample of integers, by libsndfile's names."""
_REAL = ("FLOAT", "DOUBLE")
_MOST_FLAC_CHANNELS, _FLAC_BITS = 8, (8, 16, 24)
_TRACE_ROWS, _TRACE_COLUMNS = 128, 1024


@dataclass(frozen=True)
class Audio(SignalKind):
    """Amplitudes, 1 for full scale, at a sampling rate."""

    FIELDS: ClassVar[Mapping[str, Field]] = {
        "sampling_rate": Integer(1, (1 << 31) - 1, 48_000),
        "sample_format": Choice((*_BITS, *_REAL), "PCM_16"),
    }
    figures: ClassVar[Mapping[str, tuple[str, str]]] = {
        "snr": ("SNR (dB)", "{:.2f}"),
        "si_sdr": ("SI-SDR (dB)", "{:.2f}"),
        "kbit_per_second": ("kbit/s", "{:.2f}"),
    }
    told: ClassVar[Mapping[str, str]] = {"snr": "SNR {:.2f} dB", "kbit_per_second": "{:.2f} kbit/s"}

    def spacing(self, attributes: Attributes) -> float | None:
        """See SignalKind: that of the integers that a file of the original's format holds."""
        bits = _BITS.get(str(attributes["sample_format"]))
        return None if bits is None else 2.0 ** (1 - bits)

    def read(self, path: Path) -> FileContent:
        """See SignalKind: WAV or FLAC, by libsndfile.

        Raises:
            QuinrError: If the file is cut, of another format or without a sample, or soundfile is missing.
        """
        soundfile = optional_package("soundfile", str(path))
        try:
            with soundfile.SoundFile(path) as file:
                rate, format_ = file.samplerate, file.subtype
                double = format_ in ("DOUBLE", "PCM_32")
                values = file.read(dtype="float64" if double else "float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
            reason = str(error).split("\n")[0]
            raise QuinrError(f"{path}: cut or no audio that libsndfile reads ({reason})") from error
        if not len(values):
            raise QuinrError(f"{path}: holds no sample; there is nothing to compress")
        known = {"sampling_rate": rate, "sample_format": format_ if format_ in (*_BITS, *_REAL) else "PCM_16"}
        return FileContent(values, interval_of(values, path), known)

    def check_file(self, suffix: str, channels: int, high: float) -> None:
        """See SignalKind: FLAC has at most eight channels, and nothing beyond full scale."""
        if suffix != ".flac":
            return
        if channels > _MOST_FLAC_CHANNELS:
            raise QuinrError(f"{channels} channels do not fit FLAC's {_MOST_FLAC_CHANNELS}; write it as .wav")
        if high > 1:
            raise QuinrError(f"amplitudes up to {high:g} lie beyond FLAC's full scale of 1; write it as .wav")

    def write(self, values: npt.NDArray, path: Path, attributes: Attributes) -> None:
        """See SignalKind: in the sample format of the original, or in 24 bits where FLAC does not have it."""
        suffix, format_ = path.suffix.lower(), str(attributes["sample_format"])
        if suffix not in _FORMATS:
            super().write(values, path, attributes)
            return
        soundfile = optional_package("soundfile", str(path))
        if suffix == ".flac" and _BITS.get(format_) not in _FLAC_BITS:
            format_ = "PCM_24"
        if suffix == ".wav" and format_ == "PCM_S8":
            format_ = "PCM_U8"
        elif suffix == ".flac" and format_ == "PCM_U8":
            format_ = "PCM_S8"
        samples = _integers(values, _BITS[format_]) if format_ in _BITS else values
        soundfile.write(path, samples, attributes["sampling_rate"], subtype=format_, format=_FORMATS[suffix])

    def draw(self, targets: npt.NDArray) -> Picture:
        """See SignalKind: the amplitudes of each channel over time, one channel below another."""
        return np.concatenate([_trace(channel) for channel in targets.T])

    def draw_error(self, error: npt.NDArray) -> Picture:
        """See SignalKind: the errors over time."""
        return _trace(error)

    def measure(
        self, values: npt.NDArray, decoded: npt.NDArray, peak: float, valid: npt.NDArray[np.bool_] | None
    ) -> dict[str, float]:
        """Figures of quality; see `SignalKind`.

        Returns:
            ``snr``, the signal-to-noise ratio in dB over all channels; and ``si_sdr``, the scale-invariant
            signal-to-distortion ratio in dB (Le Roux et al. 2019, arXiv 1811.02508), mean over the channels.
            Nothing where a channel is silent.
        """
        signal, other = values.astype(np.float64), decoded.astype(np.float64)
        power = np.square(signal).sum(axis=0)
        if not power.all():
            return {}
        scaled = (signal * other).sum(axis=0) / power * signal
        si_sdr = [
            _decibels(np.square(target).sum(), np.square(target - given).sum())
            for target, given in zip(scaled.T, other.T, strict=True)
        ]
        return {
            "snr": _decibels(power.sum(), np.square(signal - other).sum()),
            "si_sdr": float(np.mean(si_sdr)),
        }

    def rates(self, size: int, pixels: int, attributes: Attributes) -> dict[str, float]:
        """See SignalKind: ``kbit_per_second``, thousands of bits for a second of all channels."""
        rate = attributes["sampling_rate"]
        assert isinstance(rate, int), "checked by its field"
        return {"kbit_per_second": 8 * size * rate / pixels / 1000}


def _decibels(signal: float, noise: float) -> float:
    """Ratio of two energies; infinite without noise, and minus that without a signal."""
    if signal == 0:
        return -math.inf
    return 10 * math.log10(signal / noise) if noise > 0 else math.inf


def _integers(values: npt.NDArray, bits: int) -> npt.NDArray[np.int32]:
    """Amplitudes as integers of so many bits, at the top of 32: libsndfile's own scaling is another one."""
    most = 1 << bits - 1
    levels = np.clip(np.rint(values.astype(np.float64) * most), -most, most - 1).astype(np.int64)
    return (levels << 32 - bits).astype(np.int32)


def _trace(heights: npt.NDArray) -> Picture:
    """Numbers in [0, 1] over time: dark from the least to the greatest of each column."""
    columns = min(len(heights), _TRACE_COLUMNS)
    starts = np.arange(columns) * len(heights) // columns
    rows = (_TRACE_ROWS - 1) * (1 - np.clip(heights, 0, 1))
    top, bottom = np.minimum.reduceat(rows, starts), np.maximum.reduceat(rows, starts)
    row = np.arange(_TRACE_ROWS)[:, None]
    dark = (row >= np.floor(top)) & (row <= np.ceil(bottom))
    return np.repeat(np.where(dark, 40, 255).astype(np.uint8)[:, :, None], 3, axis=2)


AUDIO = Audio(
    4,
    "audio",
    ("time",),
    "float32",
    (-1.0, 1.0),
    suffixes=(*_FORMATS, ".npy"),
    read_suffixes=tuple(_FORMATS),
    unit="sample",
    signatures=((8, b"WAVE", ".wav"), (0, b"fLaC", ".flac")),
)
