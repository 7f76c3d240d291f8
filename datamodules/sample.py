"""A photograph that ships inside scikit-image: no data and no network needed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from quinr_pl.datamodules.coordinate_datamodule import CoordinateDataModule
from quinr_pl.datamodules.picture import read_picture
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal, image_spec

SAMPLES = ("astronaut", "chelsea", "coffee")
"""RGB photographs: 512 x 512, 300 x 451 and 400 x 600 (rows x columns)."""
_LONGEST_SIDE = 1 << 14


class SampleDataModule(CoordinateDataModule):
    """A photograph of scikit-image's, whole or made smaller.

    Args:
        image: "astronaut", "chelsea" or "coffee".
        longer_side: Pixels that the longer side is resized to (Lanczos); as it is when left out.
        **blocks: Further arguments of `CoordinateDataModule`.

    Raises:
        QuinrError: If there is no photograph of that name, or the size is below 1.
    """

    def __init__(
        self,
        image: str = "astronaut",
        longer_side: int | None = None,
        **blocks: Any,
    ) -> None:
        super().__init__(image, **blocks)
        if image not in SAMPLES:
            raise QuinrError(f"--data.image {image}: choose from {', '.join(SAMPLES)}")
        if longer_side is not None and not 1 <= longer_side <= _LONGEST_SIDE:
            raise QuinrError(f"--data.longer_side {longer_side}: must lie between 1 and {_LONGEST_SIDE}")
        self.image = image
        self.longer_side = longer_side

    @property
    def axes(self) -> int:
        """Rows and columns."""
        return 2

    @property
    def channels(self) -> int:
        """All of them are RGB."""
        return 3

    def read(self) -> Signal:
        """Read the photograph, and resize it where asked to.

        Raises:
            QuinrError: If scikit-image does not hold it.
        """
        # The package is only located: importing it would take a second.
        package = find_spec("skimage")
        if package is None or not package.submodule_search_locations:
            raise QuinrError("sample photographs: scikit-image is not installed; pip install scikit-image")
        folder = Path(package.submodule_search_locations[0]) / "data"
        values = read_picture(folder / f"{self.image}.png")
        if self.longer_side is not None:
            height, width = values.shape[:2]
            scale = self.longer_side / max(height, width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            values = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.LANCZOS))
        return Signal(values, image_spec(values))
