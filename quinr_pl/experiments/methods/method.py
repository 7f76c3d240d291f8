"""What a comparison asks of a method."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt

from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.sweep import Job, Tell
from quinr_pl.experiments.trees import Tree, named
from quinr_pl.signals import Points

WHOLE_SIGNAL = 1 << 17
"""Pixels, for estimates of cost: how large a signal is only its job finds out."""


class Method(ABC):
    """A way from a signal to a file and back, at several rates.

    Attributes:
        random: Whether the seed of a job matters.
    """

    random: ClassVar[bool] = True

    @abstractmethod
    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Settings of the jobs of a signal, by the name of the rate point.

        Settings have JSON's types. Their ``cost`` estimates how long a job takes, in any unit; a ``fit``
        among them is a config of `quinr-pl fit`, which a job completes with its data and its seed.

        Args:
            description: Of the method, in the comparison's config.
            methods: All descriptions of the config.
            data: Class path and arguments of the signal's data module.

        Raises:
            QuinrError: If a setting is wrong.
        """

    @abstractmethod
    def encode(
        self, job: Job, data: CoordinateDataModule, folder: Path, tell: Tell
    ) -> tuple[Path, dict[str, Any]]:
        """Make the file of a job in its folder.

        Args:
            job: Its settings are those of ``points``.
            data: Data module of the signal.
            folder: Of the job, empty.
            tell: Told how far a fit is.

        Returns:
            The file's path, and further figures.
        """

    @abstractmethod
    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """The signal of a file, as large as the one that was encoded."""

    def decode_points(
        self, job: Job, data: CoordinateDataModule, encoded: bytes, decoded: npt.NDArray
    ) -> Points | None:
        """The points of a scan's file, (points, 3): here those of the pixels that ``decode`` gave."""
        return data.spec.points(decoded)


def points_of_rates(rates: Iterable[Any], shared: Tree) -> dict[str, dict[str, Any]]:
    """A point for each rate.

    Args:
        rates: Bits for each pixel.
        shared: What the settings of all points have.

    Raises:
        QuinrError: If a rate is not positive, or is there twice.
    """
    numbers = [float(rate) for rate in rates]
    for bpp in numbers:
        if not 0 < bpp < math.inf:
            raise QuinrError(f"points {bpp:g}: must be a positive number of bits for each pixel")
    return named("points", [(f"{bpp:g}", {**shared, "bpp": bpp}) for bpp in numbers])
