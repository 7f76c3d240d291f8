"""Draco, the codec of points that a browser decodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.draco import Draco, decode_draco
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.methods.method import Method
from quinr_pl.experiments.sweep import Job, Tell
from quinr_pl.experiments.trees import Tree, named
from quinr_pl.signals import Points
from quinr_pl.versions import versions

_COST = 1e4  # of a second of encoding, beside fits


class DracoMethod(Method):
    """A file of all points of the scan for each point of rate, a number of bits for each coordinate."""

    random = False

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        points = [{"bits": Draco(int(bits)).bits, "cost": _COST} for bits in description["points"]]
        return named("points", zip([str(point["bits"]) for point in points], points, strict=True))

    def encode(
        self, job: Job, data: CoordinateDataModule, folder: Path, tell: Tell
    ) -> tuple[Path, dict[str, Any]]:
        """File of a job; see `Method`."""
        if data.points is None:
            raise QuinrError(f"method {job.method}: {data.name} is no scan of points; leave it out")
        if data.spec.intensity is not None:
            raise QuinrError(f"method {job.method}: has no intensities; leave --data.intensity out")
        path = folder / f"{data.name}.drc"
        write_bytes(path, Draco(job.settings["bits"]).encode(data.points))
        return path, {"versions": versions("DracoPy")}

    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """The decoded points as a range image of the scan's rays, for figures of pixels; see `Method`."""
        scanner = data.spec.scanner
        assert scanner is not None, "encode refused it"
        return scanner.ranges(decode_draco(encoded), data.spec.shape[1], data.spec.high)[:, :, None]

    def decode_points(
        self, job: Job, data: CoordinateDataModule, encoded: bytes, decoded: npt.NDArray
    ) -> Points | None:
        """All points of a file; see `Method`."""
        return decode_draco(encoded)
