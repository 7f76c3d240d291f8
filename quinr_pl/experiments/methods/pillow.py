"""WebP and AVIF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.pillow import PillowCodec
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.experiments.methods.method import Method
from quinr_pl.experiments.sweep import Job
from quinr_pl.experiments.trees import Tree, named
from quinr_pl.versions import versions

_COST = 1e5  # of the encodings that find a quality, beside fits


class PillowMethod(Method):
    """A file for each point, a number of bits for each pixel that it takes at most."""

    random = False

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        codec = PillowCodec(description["kind"])
        rates = [float(bpp) for bpp in description["points"]]
        points = [{"kind": codec.format, "bpp": bpp, "cost": _COST} for bpp in rates]
        return named("points", zip([f"{bpp:g}" for bpp in rates], points, strict=True))

    def encode(self, job: Job, data: CoordinateDataModule, folder: Path) -> tuple[Path, dict[str, Any]]:
        """File of a job; see `Method`."""
        codec = PillowCodec(job.settings["kind"])
        path = folder / f"{data.name}.{codec.format}"
        write_bytes(path, codec.encode(data.values, data.spec, job.settings["bpp"]))
        return path, {"versions": versions("pillow")}

    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """Signal of a file; see `Method`."""
        return PillowCodec(job.settings["kind"]).decode(encoded, data.spec)
