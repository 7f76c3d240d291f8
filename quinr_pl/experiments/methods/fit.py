"""Networks that `quinr-pl fit` fits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from quinr_pl.callbacks import FitReport
from quinr_pl.codec import UNLIMITED, decode
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.experiments.fit_configs import data_module_of, merge_fits, network_class, untrained_network
from quinr_pl.experiments.methods.method import WHOLE_SIGNAL, Method
from quinr_pl.experiments.sweep import Job, Tell
from quinr_pl.experiments.trees import Tree, named
from quinr_pl.fitting.api import CONFIG, fit
from quinr_pl.signals import Points


class Fit(Method):
    """A fit for each point: the config ``fit`` with the point's changes."""

    def points(self, description: Tree, methods: Mapping[str, Tree], data: Tree) -> dict[str, dict[str, Any]]:
        """Points of rate of the method; see `Method`."""
        points = named("points", description.get("points") or {"one": {}})
        signal = data_module_of(data)
        channels, axes = signal.channels, signal.axes
        trees = {point: merge_fits(description["fit"], change or {}) for point, change in points.items()}
        return {point: fit_settings(tree, channels, axes) for point, tree in trees.items()}

    def encode(
        self, job: Job, data: CoordinateDataModule, folder: Path, tell: Tell
    ) -> tuple[Path, dict[str, Any]]:
        """See `Method`; the further figures name the command that makes the file again."""
        fitted = fit(json.loads(json.dumps(job.settings["fit"])), folder, callbacks=[FitReport(tell)])
        command = f"quinr-pl fit --config {folder / CONFIG} --trainer.default_root_dir {folder}"
        figures = {"parameters": fitted.parameters, "versions": fitted.versions, "command": command}
        return fitted.path, figures

    def decode(self, job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
        """Signal of a file; see `Method`."""
        network_class(job.settings["fit"])  # a module that brings a network may tell the decoder of it
        return decode(encoded, data.name, UNLIMITED).reconstruct()

    def decode_points(
        self, job: Job, data: CoordinateDataModule, encoded: bytes, decoded: npt.NDArray
    ) -> Points | None:
        """Points of a file, which says itself what pixels are no points; see `Method`."""
        return decode(encoded, data.name, UNLIMITED).spec.points(decoded)


def fit_settings(tree: Tree, channels: int, axes: int = 2) -> dict[str, Any]:
    """Settings of a job that fits.

    Args:
        tree: Config of the fit.
        channels: Of the signal.
        axes: Of the signal, the channels' left out.
    """
    network = untrained_network(tree, channels, axes)
    steps = tree.get("trainer", {}).get("max_steps", 1000)
    batch = tree.get("data", {}).get("init_args", {}).get("batch_size", 4096) or WHOLE_SIGNAL
    of_circuits = 2.0 if network.quantum_layers() else 1.0
    return {"kind": "fit", "fit": tree, "cost": steps * batch * network.parameter_count() * of_circuits}
