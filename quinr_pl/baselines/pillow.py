"""WebP and AVIF by Pillow: whole files, container included."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from quinr_pl.baselines.quality import best_within
from quinr_pl.errors import QuinrError
from quinr_pl.signals import SignalSpec

_BEST_QUALITY = 100


@dataclass(frozen=True)
class PillowCodec:
    """An encoder of 8-bit images, at its slow settings.

    Args:
        format: "webp" or "avif".

    Raises:
        QuinrError: If it is neither, or this Pillow was built without it.
    """

    format: str

    SETTINGS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "webp": {"method": 6},
        # Without 4:4:4 colours alone cost a decibel at high rates.
        "avif": {"speed": 4, "subsampling": "4:4:4"},
    }

    def __post_init__(self) -> None:
        if self.format not in self.SETTINGS:
            raise QuinrError(f"codec {self.format}: choose from {', '.join(self.SETTINGS)}")
        if not features.check(self.format):
            raise QuinrError(f"codec {self.format}: this Pillow has none; install a Pillow wheel of 11.3 on")

    def encode(self, values: npt.NDArray, spec: SignalSpec, bpp: float) -> bytes:
        """The file of the highest quality that takes at most so many bits a pixel.

        Args:
            values: (height, width, channels) uint8, of one or three channels.
            spec: What the values are.
            bpp: Bits for each pixel.

        Returns:
            The file, the smallest that the encoder makes where none is so small.

        Raises:
            QuinrError: If the signal is no such image, or the encoder takes none of its size.
        """
        if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] not in (1, 3):
            raise QuinrError(
                f"{self.format}: holds 8-bit images in gray or RGB, not this signal; leave it out"
            )
        picture = Image.fromarray(values[:, :, 0] if spec.channels == 1 else values).convert("RGB")
        return best_within(partial(self._file, picture), _BEST_QUALITY, bpp * spec.pixels / 8)

    def decode(self, data: bytes, spec: SignalSpec) -> npt.NDArray[np.uint8]:
        """The image of a file: (height, width, channels)."""
        with Image.open(io.BytesIO(data)) as picture:
            samples = np.asarray(picture.convert("L" if spec.channels == 1 else "RGB"))
        return samples.reshape(*spec.shape, spec.channels)

    def _file(self, picture: Image.Image, quality: int) -> bytes:
        file = io.BytesIO()
        try:
            picture.save(file, self.format, quality=quality, **self.SETTINGS[self.format])
        except (OSError, ValueError) as error:
            raise QuinrError(
                f"{self.format}: takes no image of {picture.width} x {picture.height}: {error}"
            ) from error
        return file.getvalue()
