"""Images of integers: what a picture file holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quinr_pl.signals.kind import SignalKind
from quinr_pl.signals.spec import SignalSpec


@dataclass(frozen=True)
class Image(SignalKind):
    """Images of one depth, with any number of channels."""


IMAGE_8 = Image(0, "image_8", ("height", "width"), "uint8", (0.0, 255.0))
IMAGE_16 = Image(1, "image_16", ("height", "width"), "uint16", (0.0, 65535.0))


def image_spec(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> SignalSpec:
    """The spec of an image, (height, width, channels), whose dtype gives the bit depth."""
    kind = IMAGE_8 if values.dtype == np.uint8 else IMAGE_16
    return SignalSpec.of(kind, values)
