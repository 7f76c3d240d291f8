"""What `quinr-pl compare` compares: from a config to jobs, and what a job does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from quinr_pl.configs.find import read_tree
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import rate_and_distortion
from quinr_pl.experiments.config_keys import MAPPING, SEED, SWITCH, TEXT, Kind, known_keys, listed, whole
from quinr_pl.experiments.fit_configs import (
    data_module_of,
    file_making_callbacks,
    merge_fits,
    read_fit_config,
)
from quinr_pl.experiments.methods import METHODS, find_method
from quinr_pl.experiments.sweep import Job, Tell, check_folders
from quinr_pl.experiments.table import AVERAGE
from quinr_pl.experiments.trees import Tree, merge, named
from quinr_pl.signals import Points
from quinr_pl.versions import versions

COMPARISON_KEYS: Mapping[str, Kind] = {
    "folder": TEXT,
    "data": MAPPING,
    "images": listed(MAPPING),
    "methods": MAPPING,
    "seeds": listed(SEED),
    "processes": whole(1),
    "anchors": listed(TEXT),
    "published": SWITCH,
    "crop": listed(whole(1), 2),
}
"""What a config holds."""


@dataclass(frozen=True)
class Comparison:
    """A config of `quinr-pl compare`.

    Args:
        folder: Where the jobs' folders and the report lie.
        data: Class of the data module and arguments that all signals share.
        images: Further arguments of the data module, a mapping for each signal.
        methods: Name -> description, see docs/compare.md.
        seeds: Seeds of the methods that have some chance in them.
        processes: Jobs at a time.
        anchors: Methods that the others are compared with.
        published: Whether curves that others published on Kodak are drawn too.
        crop: Rows and columns of the crops in the report.
    """

    folder: str
    data: Tree
    images: Sequence[Tree]
    methods: Mapping[str, Tree]
    seeds: Sequence[int] = (0,)
    processes: int = 2
    anchors: Sequence[str] = ("JPEG2000",)
    published: bool = False
    crop: tuple[int, int] = (192, 256)

    @classmethod
    def read(cls, text: str, name: str, find: Callable[[str], str]) -> Comparison:
        """The config of a YAML text.

        Args:
            text: Text of the config, in YAML.
            name: The file's name, for messages.
            find: Path of the config that a method's ``base`` names.

        Raises:
            QuinrError: If a key is unknown, missing or of another kind, or a method is not described
                completely.
        """
        needed = ("folder", "data", "images", "methods")
        tree = known_keys(read_tree(text, name), name, COMPARISON_KEYS, needed)
        tree["methods"] = named(f"{name}: methods", tree["methods"])
        for method, description in tree["methods"].items():
            kind = description.get("kind") if isinstance(description, dict) else None
            if "." not in str(kind) and kind not in METHODS:
                raise QuinrError(
                    f"{name}: method {method} is of kind {kind}; choose from {', '.join(METHODS)}, or give "
                    "the import path of a class"
                )
            base = description.pop("base", None)
            if base is not None:
                description["fit"] = merge_fits(read_fit_config(find(base)), description.get("fit", {}))
        return cls(**tree)

    def jobs(self) -> list[Job]:
        """All jobs: images x methods x rate points x seeds.

        Raises:
            QuinrError: If a description is not complete, or two jobs would share a folder.
        """
        found = []
        for image in self.images:
            data = merge(self.data, {"init_args": image})
            for method, description in self.methods.items():
                for point, settings in self._points(method, description, data).items():
                    for seed in self.seeds if find_method(description["kind"]).random else [0]:
                        found.append(_job(data, method, point, seed, settings))
        check_folders(found)
        if any(job.image == AVERAGE for job in found):
            raise QuinrError(f"images: {AVERAGE}: the report calls the mean of all so; rename the image")
        return found

    def _points(self, method: str, description: Tree, data: Tree) -> dict[str, Tree]:
        try:
            points = find_method(description["kind"]).points(description, self.methods, data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise QuinrError(f"method {method}: its description is not complete ({error!r})") from error
        return {point: {"kind": description["kind"], **settings} for point, settings in points.items()}


def run_job(job: Job, folder: Path, tell: Tell) -> dict[str, Any]:
    """Make a job's file and measure what its decoder gives."""
    data = load_data(job)
    start = time.perf_counter()
    path, further = find_method(job.settings["kind"]).encode(job, data, folder, tell)
    seconds = time.perf_counter() - start
    result = {"file": path.name, "kind": job.settings["kind"], **measure(job, folder, path.name, data)}
    result["encode_seconds"] = round(seconds, 3)
    return result | further | {"versions": versions() | further.get("versions", {})}


def measure(job: Job, folder: Path, file: str, data: CoordinateDataModule | None = None) -> dict[str, Any]:
    """Rate and distortion of a job's file, decoded now.

    Returns:
        ``bytes``, ``bpp``, ``psnr`` and ``decode_seconds``; for range images ``rmse`` in metres too, and
        ``psnr_valid`` and ``rmse_valid`` over the pixels with a return, and the figures of its points.
    """
    data = data or load_data(job)
    start = time.perf_counter()
    _, values, points = reconstruct(job, folder, file, data)
    seconds = time.perf_counter() - start
    size = (folder / file).stat().st_size
    result = rate_and_distortion(size, data.values, values, data.spec, data.valid, data.points, points)
    return result | {"decode_seconds": round(seconds, 3)}


class Reconstruction(NamedTuple):
    """A signal, and what the file of a job gives of it.

    Attributes:
        data: The signal's data module.
        values: Decoded, (*shape, channels).
        points: Decoded, (points, 3), of a scan; None of other signals.
    """

    data: CoordinateDataModule
    values: npt.NDArray
    points: Points | None


def reconstruct(
    job: Job, folder: Path, file: str, data: CoordinateDataModule | None = None
) -> Reconstruction:
    """What a job's file in its folder decodes to now."""
    data = data or load_data(job)
    encoded, method = (folder / file).read_bytes(), find_method(job.settings["kind"])
    values = method.decode(job, data, encoded)
    points = None if data.points is None else method.decode_points(job, data, encoded, values)
    return Reconstruction(data, values, points)


def load_data(job: Job) -> CoordinateDataModule:
    """The data module of a job, with its signal read."""
    data = data_module_of(job.settings["data"])
    data.prepare_data()
    data.setup()
    return data


def _job(data: Tree, method: str, point: str, seed: int, settings: Tree) -> Job:
    settings = {**settings, "data": data}
    cost = settings.pop("cost")
    if "fit" in settings:
        fit = merge(settings.pop("fit"), {"data": merge(data, {"init_args": {"seed": seed}})})
        trainer = {"logger": False, "callbacks": file_making_callbacks(fit)}
        settings["fit"] = merge(fit, {"seed_everything": seed, "trainer": trainer})
    return Job(data_module_of(data).name, method, point, seed, settings, cost)
