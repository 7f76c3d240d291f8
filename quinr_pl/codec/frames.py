"""Files of several frames: each is decoded when it is asked for, from the key frame before it on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.decoding import DecodedSignal, decode, described, named
from quinr_pl.codec.devices import find_device
from quinr_pl.codec.file.container import BitstreamError, unpack
from quinr_pl.codec.file.frame_list import FramePart, holds_frames, split_frames
from quinr_pl.codec.file.limits import DecodeLimits
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.file.source import Source, read_source


class Frames:
    """The frames of a file; a file of one signal is one of a single frame.

    Indexing and iteration give a ``DecodedSignal`` each. Frames in order are decoded one after another; any
    other one costs the decoding of latents and masks from its key frame on, and of pixels of scans.

    Args:
        data: The whole file, or what there is of it from its beginning on.
        name: The file's name, for messages.
        limits: What all frames together may ask for; the default ones when left out.

    Attributes:
        written: With how many frames the file was written.
        several: Whether it was written as a file of frames, even of a single one.
        parts: Of the frames that are whole, in order.
        pixels: Of all of them.

    Raises:
        BitstreamError: In one line, if the first frame is not valid, or they ask for more than the limits.
    """

    def __init__(self, data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> None:
        self._name, self._limits = name, limits or DecodeLimits()
        self._last: tuple[int, DecodedSignal] | None = None
        with named(name):
            self._limits.check_file(data)
            self._size = len(data)
            self.several = holds_frames(data)
            if self.several:
                self.written, self.parts = split_frames(data)
            else:
                self.written, self.parts = 1, [FramePart(data, True, len(data))]
            shapes = [read_signal(unpack(part.data)) for part in self.parts if part.is_key]
            keys = np.cumsum([part.is_key for part in self.parts]) - 1
            self.pixels = sum(shapes[key].pixels for key in keys)
            self._limits.check_frames(len(self), self.pixels)

    def __len__(self) -> int:
        """Number of whole frames."""
        return len(self.parts)

    def __getitem__(self, index: int) -> DecodedSignal:
        """A frame by its number from 0, or from the end if negative.

        Raises:
            IndexError: If there is no such frame.
            BitstreamError: If it is not valid.
        """
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        first = self.key_of(number)
        decoded = None
        if self._last is not None and first <= self._last[0] <= number:
            first, decoded = self._last[0] + 1, self._last[1]
        for place in range(first, number + 1):
            decoded = self._decoded(place, decoded)
            decoded.settle()
        assert decoded is not None
        self._last = number, decoded
        return decoded

    def __iter__(self) -> Iterator[DecodedSignal]:
        """All whole frames in order: while one is looked at, sections of the next one are decoded."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._decoded, 0, None)
            for number in range(len(self)):
                decoded = ahead.result()
                if number + 1 < len(self):
                    ahead = pool.submit(self._decoded, number + 1, decoded)
                yield decoded
                decoded.settle()

    def _decoded(self, number: int, before: DecodedSignal | None) -> DecodedSignal:
        """A frame, told by the one before unless it is a key frame."""
        part = self.parts[number]
        reference = None if part.is_key or before is None else before.as_reference()
        name = f"{self._name}, frame {number}" if self.several else self._name
        return decode(part.data, name, self._limits, reference)

    def key_of(self, number: int) -> int:
        """The key frame that the decoding of a frame begins with: its number."""
        return max(place for place in range(number + 1) if self.parts[place].is_key)

    @property
    def missing(self) -> str | None:
        """What is to be said of a file that is cut or damaged; None of one that is whole."""
        if len(self) == self.written:
            return None
        return f"{self._name}: cut or damaged: {len(self)} of {self.written} frames are whole"

    def describe(self) -> dict[str, Any]:
        """What the file holds, as plain numbers and strings; latents, masks and pixels are not decoded.

        Raises:
            BitstreamError: If what is shown is not valid.
        """
        first = described(self.parts[0].data, self._name, self._limits)
        if not self.several:
            return first
        size = self._size
        return {
            "frames": self.written,
            "whole_frames": len(self),
            "key_frames": [number for number, part in enumerate(self.parts) if part.is_key],
            "bytes": size,
            "bpp": 8 * size / self.pixels,
            "frame_bytes": [part.size for part in self.parts],
            "first_frame": first,
        }


def read_frames(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> Frames:
    """The frames of a file that is whole.

    Raises:
        BitstreamError: If a frame is missing, beside what ``Frames`` raises.
    """
    frames = Frames(data, name, limits)
    if frames.missing is not None:
        raise BitstreamError(frames.missing)
    return frames


def decompress(
    source: Source, name: str | None = None, limits: DecodeLimits | None = None, device: str = "cpu"
) -> npt.NDArray | list[npt.NDArray]:
    """The signal of a file, or those of its frames.

    Args:
        source: The bytes of the file, its path, or a binary stream that is read to its end.
        name: What messages call it; the path, where there is one, when left out.
        limits: What it may ask for; the default ones when left out.
        device: What computes the values: "cpu", "cuda", "cuda:N", or "auto" for a GPU where there is one, by
            torch, which rounds to other last digits; see docs/gpu.md.

    Returns:
        (*shape, channels) of the signal's dtype: uint8, uint16 or float32 for this package's kinds. Of a file
        of several frames a list of them.

    Raises:
        BitstreamError: In one line, if the file is not valid or asks for more than the limits.
        QuinrError: If it cannot be read, or there is no such device.

    Example:
        >>> from quinr_pl import decompress
        >>> image = decompress("photo.quinr")
        >>> image.shape, image.dtype
        ((70, 51, 3), dtype('uint8'))
    """
    device = find_device(device)
    limits = limits or DecodeLimits()
    data, known = read_source(source, limits.file_bytes)
    frames = read_frames(data, name or known, limits)
    values = [computed_on(frame, device).reconstruct() for frame in frames]
    return values if frames.several else values[0]


def computed_on(decoded: DecodedSignal, device: str) -> DecodedSignal:
    """A file whose values a device computes; on the CPU the decoder does, which starts at once.

    Args:
        decoded: As `decode` gives it; it is left as it is.
        device: What `find_device` gives.

    Raises:
        QuinrError: See `quinr_pl.codec.device_values.on_device`.
    """
    if device == "cpu":
        return decoded
    from quinr_pl.codec.device_values import on_device  # needs torch

    return on_device(decoded, device)


def inspect(data: bytes, name: str = "bytes", limits: DecodeLimits | None = None) -> dict[str, Any]:
    """What a file holds, as plain numbers and strings; latents, masks and pixels are not decoded.

    Args:
        data: The whole file, or of a file of several frames what there is of it.
        name: The file's name, for messages.
        limits: What it may ask for.

    Raises:
        BitstreamError: If what is shown is not valid, or asks for more than the limits.
    """
    return Frames(data, name, limits).describe()
