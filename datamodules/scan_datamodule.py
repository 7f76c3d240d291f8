"""What data modules of laser scans have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule
from quinr_pl.datamodules.mask_gaps import without_flicker
from quinr_pl.datamodules.range_image import Projection
from quinr_pl.datamodules.scan_file import ScanFormat
from quinr_pl.signals import SignalSpec


class RangeImageDataModule(CoordinateDataModule):
    """Serves the range image of a scan.

    Subclasses give `read`.

    Args:
        name: Short name of the signal: the stem of the files made from it.
        projection: "field_of_view", "beam_order" or "auto", see `Projection`, as for the following.
        height: Rows of a range image; null for those of the scan.
        width: Columns of a range image; null for those of the scan.
        fov_up: Elevation of its upper edge in degrees; null for that of the scan.
        fov_down: Elevation of its lower edge in degrees; null for that of the scan.
        peak: Range in metres that target 1 stands for; null for that of the scan.
        mask: Whether the file says which pixels have a return; the network then gives only those. For scans.
        gaps: Pixels of the longest gap in a row that the mask closes: a smaller file, with points there. The
            mask is `smoothed` then, and in a frame that is told by another one it is `without_flicker`.
        intensity: How much intensities, as a second channel, weigh beside ranges: 0.01 to 1, or 0 for none.
        firings: Points that the decoder gives for each pixel, side by side, of a scan.
        **blocks: Further arguments of `CoordinateDataModule`.
    """

    def __init__(
        self,
        name: str,
        projection: str = "field_of_view",
        height: int | None = 64,
        width: int | None = 1024,
        fov_up: float | None = 3.0,
        fov_down: float | None = -25.0,
        peak: float | None = 80.0,
        mask: bool = True,
        gaps: int = 0,
        intensity: float = 0.0,
        firings: int = 1,
        **blocks: Any,
    ) -> None:
        super().__init__(name, **blocks)
        self.projection = Projection(
            projection, height, width, fov_up, fov_down, peak, mask, gaps, intensity, firings
        )

    @property
    def axes(self) -> int:
        """Rows and columns."""
        return 2

    def follow(self, spec: SignalSpec) -> None:
        """See CoordinateDataModule; where small gaps are closed, flicker of the mask is left out too."""
        before = None if spec.reference is None else spec.reference.spec.mask
        if self.projection.gaps and spec.mask is not None and before is not None:
            spec = replace(spec, mask=without_flicker(spec.mask, before))
        super().follow(spec)

    @property
    def channels(self) -> int:
        """A range image has one value a pixel, or two with intensities."""
        return 2 if self.projection.intensity else 1


class ScanFileDataModule(RangeImageDataModule):
    """Serves the range image of a scan in a file.

    Args:
        name: Short name of the signal: the stem of the files made from it.
        floats: Numbers of a scan's point, see `ScanFormat`, as for the following two.
        byte_order: Of a scan's numbers, "little" or "big".
        float_bits: Of a scan's numbers, 32 or 64.
        **projection: Further arguments of `RangeImageDataModule`.
    """

    def __init__(
        self,
        name: str,
        floats: int | None = None,
        byte_order: str | None = None,
        float_bits: int | None = None,
        **projection: Any,
    ) -> None:
        super().__init__(name, **projection)
        self.scan_format = ScanFormat(floats, byte_order, float_bits)
