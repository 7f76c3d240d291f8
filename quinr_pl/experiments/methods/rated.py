"""Codecs that make the best file of a size, each named by its kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.opus import Opus
from quinr_pl.baselines.pillow import PillowCodec
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.experiments.methods.method import Method, points_of_rates
from quinr_pl.experiments.sweep import Job, Tell
from quinr_pl.experiments.trees import Tree
from quinr_pl.signals import SignalSpec
from quinr_pl.versions import versions

_COST = 1e5  # of the encodings that find a quality, beside fits


class RatedCodec(Protocol):
    """An encoder that takes a size, and its decoder."""

    def encode(self, values: npt.NDArray, spec: SignalSpec, bpp: float) -> bytes:
        """The best file that takes at most so many bits for each pixel, or sample."""

    def decode(self, data: bytes, spec: SignalSpec) -> npt.NDArray:
        """The signal of a file, (*shape, channels)."""


class RatedMethod(Method):
    """A file for each point, a number of bits for each pixel that it takes at most.

    Attributes:
        package: What encodes, for the list of versions.
    """

    random = False
    package: ClassVar[str]

    @abstractmethod
    def codec(self, kind: str) -> RatedCodec:
        """The codec of a kind of method."""

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        kind = description["kind"]
        self.codec(kind)  # a missing one is told before any work
        return points_of_rates(description["points"], {"kind": kind, "cost": _COST})

    def encode(
        self, job: Job, data: CoordinateDataModule, folder: Path, tell: Tell
    ) -> tuple[Path, dict[str, Any]]:
        """File of a job; see `Method`."""
        kind = job.settings["kind"]
        path = folder / f"{data.name}.{kind}"
        write_bytes(path, self.codec(kind).encode(data.values, data.spec, job.settings["bpp"]))
        return path, {"versions": versions(self.package)}

    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """Signal of a file; see `Method`."""
        return self.codec(job.settings["kind"]).decode(encoded, data.spec)


class PillowMethod(RatedMethod):
    """WebP and AVIF."""

    package = "pillow"

    def codec(self, kind: str) -> RatedCodec:
        """Pillow's encoder of a format."""
        return PillowCodec(kind)


class OpusMethod(RatedMethod):
    """Opus."""

    package = "soundfile"

    def codec(self, kind: str) -> RatedCodec:
        """The one there is."""
        return Opus()
