"""Images of integers: what a picture file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.signals import png
from quinr_pl.signals.drawing import Picture, of_colours
from quinr_pl.signals.kind import Attributes, SignalKind
from quinr_pl.signals.spec import SignalSpec


@dataclass(frozen=True)
class Image(SignalKind):
    """Images of one depth, with any number of channels: red, green and blue first where there are three."""

    suffixes: tuple[str, ...] = (".png", ".npy")

    def check_file(self, suffix: str, channels: int, high: float) -> None:
        """See SignalKind: a PNG has at most four channels."""
        if suffix == ".png":
            png.check_channels(channels)

    def write(self, values: npt.NDArray, path: Path, attributes: Attributes) -> None:
        """See SignalKind: as PNG, or as ``.npy``."""
        if path.suffix.lower() == ".png":
            png.write_png(values, path)
        else:
            super().write(values, path, attributes)

    def draw(self, targets: npt.NDArray) -> Picture:
        """See SignalKind: in its own colours."""
        return of_colours(targets[..., :3] if targets.shape[-1] >= 3 else targets[..., [0, 0, 0]])


IMAGE_8 = Image(0, "image_8", ("height", "width"), "uint8", (0.0, 255.0))
IMAGE_16 = Image(1, "image_16", ("height", "width"), "uint16", (0.0, 65535.0))


def image_spec(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> SignalSpec:
    """The spec of an image, (height, width, channels), whose dtype gives the bit depth."""
    return SignalSpec.of(IMAGE_8 if values.dtype == np.uint8 else IMAGE_16, values)
