"""COIN as it was published: 16-bit weights without a header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.coin import PublishedCOIN
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.experiments.methods.method import WHOLE_SIGNAL, Method
from quinr_pl.experiments.sweep import Job, Tell
from quinr_pl.experiments.trees import Tree, named


class COINMethod(Method):
    """A training of COIN's own for each point, ``settings`` with the point's changes."""

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        shared = description.get("settings", {})
        points: dict[str, dict[str, Any]] = {}
        for point, settings in named("points", description["points"]).items():
            merged = {**shared, **settings}
            coin = PublishedCOIN(**merged)
            cost = float(coin.steps * (coin.batch_size or WHOLE_SIGNAL) * coin.layers * coin.width**2)
            points[point] = {"kind": "coin", "settings": merged, "cost": cost}
        return points

    def encode(
        self, job: Job, data: CoordinateDataModule, folder: Path, tell: Tell
    ) -> tuple[Path, dict[str, Any]]:
        """File of a job; see `Method`."""
        path = folder / f"{data.name}.fp16"
        encoded = PublishedCOIN(**job.settings["settings"]).encode(data.values, data.spec, job.seed)
        write_bytes(path, encoded)
        return path, {"parameters": len(encoded) // 2}

    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """Signal of a file; see `Method`."""
        return PublishedCOIN(**job.settings["settings"]).decode(encoded, data.spec)
