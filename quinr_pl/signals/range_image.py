"""Range images: how far from the scanner the surface is that each ray meets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.signals import png
from quinr_pl.signals.distortion import psnr, rmse
from quinr_pl.signals.kind import Attributes, SignalKind
from quinr_pl.signals.point_distortion import POINT_FIGURES

KITTI_DEPTH_SCALE = 256
"""Units of KITTI's 16-bit depth pictures in a metre."""


@dataclass(frozen=True)
class RangeImage(SignalKind):
    """Metres from 0, where there is no return, to the peak; and intensities, where there is a second channel.

    Figures of points come from `point_figures`, where the points of the scan are known.
    """

    figures: ClassVar[Mapping[str, tuple[str, str]]] = {
        "psnr_valid": ("PSNR, valid (dB)", "{:.2f}"),
        "rmse": ("RMSE (m)", "{:.3f}"),
        "rmse_valid": ("RMSE, valid (m)", "{:.3f}"),
        "psnr_intensity": ("PSNR, intensity (dB)", "{:.2f}"),
        **POINT_FIGURES,
    }

    def check_range(self, low: float, high: float, attributes: Attributes) -> None:
        """See SignalKind: ranges are not negative either."""
        super().check_range(low, high, attributes)
        if low < 0:
            raise QuinrError(f"signal range [{low}, {high}]: ranges in metres are not negative")

    def check_file(self, suffix: str, channels: int, high: float) -> None:
        """See SignalKind: a PNG has 16 bits, and the ranges alone."""
        if suffix == ".png" and high * KITTI_DEPTH_SCALE > np.iinfo(np.uint16).max:
            raise QuinrError(f"ranges up to {high} m exceed a 16-bit PNG's 255.99 m; write it as .npy")

    def write(self, values: npt.NDArray, path: Path, attributes: Attributes) -> None:
        """See SignalKind: as ``.npy``, or as KITTI's PNG: metres times 256, 0 for no return."""
        if path.suffix.lower() == ".png":
            units = np.rint(values[..., :1].astype(np.float64) * KITTI_DEPTH_SCALE)
            png.write_png(units.astype(np.uint16), path)
        else:
            super().write(values, path, attributes)

    def measure(
        self, values: npt.NDArray, decoded: npt.NDArray, peak: float, valid: npt.NDArray[np.bool_] | None
    ) -> dict[str, float]:
        """Figures of quality; see `SignalKind`.

        Returns:
            ``rmse`` of ranges in metres; and over the pixels with a return ``rmse_valid`` and ``psnr_valid``.
            Nothing where these pixels are not known.
        """
        if valid is None:
            return {}
        values, decoded = values[..., :1], decoded[..., :1]
        return {
            "rmse": rmse(values, decoded),
            "rmse_valid": rmse(values, decoded, valid),
            "psnr_valid": psnr(values, decoded, peak, valid),
        }


RANGE_IMAGE = RangeImage(
    2,
    "range_image",
    ("height", "width"),
    "float32",
    (0.0, 80.0),
    masked=True,
    suffixes=(".npy", ".png"),
    scanned=True,
)
