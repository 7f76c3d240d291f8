"""What `quinr-pl compare` compares: from a config to jobs, and what a job of each method does."""

from __future__ import annotations

import json
import platform
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy.typing as npt
from pytorch_lightning.callbacks import Callback

from quinr_pl._version import __version__
from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.coin import PublishedCOIN
from quinr_pl.baselines.jpeg2000 import JPEG2000, inpaint
from quinr_pl.callbacks import (
    BitrateMonitor,
    FitProgress,
    LightningParity,
    NetworkLogger,
    ReconstructionLogger,
    ReconstructionWriter,
)
from quinr_pl.class_paths import find_class, same_class
from quinr_pl.codec import UNLIMITED, decode
from quinr_pl.codec.sections import mask as mask_section
from quinr_pl.configs.find import packaged_config, read_text, read_tree
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import rate_and_distortion
from quinr_pl.experiments.sweep import Job, check_folders
from quinr_pl.experiments.table import AVERAGE
from quinr_pl.fitting.api import CONFIG, fit
from quinr_pl.network import COIN, Network
from quinr_pl.openjpeg import openjpeg_version

Tree = Mapping[str, Any]

# A fit inside a sweep needs no pictures and no parity check, which leave its file as it is.
_ONLY_SHOWING = (
    BitrateMonitor,
    FitProgress,
    LightningParity,
    NetworkLogger,
    ReconstructionLogger,
    ReconstructionWriter,
)
_WIDEST_TWIN = 512
_WHOLE_SIGNAL = 1 << 17  # pixels, for the time left: how large a signal is only its job finds out
_MASK_SIZE = struct.Struct("<I")


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
            text: YAML.
            name: The file's name, for messages.
            find: Path of the config that a method's ``base`` names.

        Raises:
            QuinrError: If a key is unknown or missing, or a method is not described completely.
        """
        tree = read_tree(text, name)
        known = {field.name for field in fields(cls)}
        for key in tree.keys() - known:
            raise QuinrError(f"{name}: unknown key {key}; a comparison has {', '.join(sorted(known))}")
        for key in ("folder", "data", "images", "methods"):
            if not tree.get(key):
                raise QuinrError(f"{name}: key {key} is missing")
        defaults = read_tree(read_text(str(packaged_config("defaults.yaml"))), "defaults.yaml")
        tree["methods"] = named(f"{name}: methods", tree["methods"])
        for method, description in tree["methods"].items():
            kind = description.get("kind") if isinstance(description, dict) else None
            if kind not in METHODS:
                raise QuinrError(
                    f"{name}: method {method} is of kind {kind}; choose from {', '.join(METHODS)}"
                )
            base = description.pop("base", None)
            if base is not None:
                based = merge(defaults, read_tree(read_text(find(base)), base))
                description["fit"] = merge(based, description.get("fit", {}))
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
                    for seed in self.seeds if METHODS[description["kind"]].random else [0]:
                        found.append(_job(data, method, point, seed, settings))
        check_folders(found)
        if any(job.image == AVERAGE for job in found):
            raise QuinrError(f"images: {AVERAGE}: the report calls the mean of all so; rename the image")
        return found

    def _points(self, method: str, description: Tree, data: Tree) -> dict[str, Tree]:
        try:
            return METHODS[description["kind"]].points(description, self, data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise QuinrError(f"method {method}: its description is not complete ({error!r})") from error


@dataclass(frozen=True)
class Method:
    """What a kind of method does.

    Args:
        points: From a description, the comparison and the data to settings by the rate point's name.
        encode: Makes the file of a job in its folder, and tells its path and further figures.
        decode: From a file's bytes to the signal.
        random: Whether the seed matters.
    """

    points: Callable[[Tree, Comparison, Tree], dict[str, Tree]]
    encode: Callable[[Job, CoordinateDataModule, Path], tuple[Path, dict[str, Any]]]
    decode: Callable[[Job, CoordinateDataModule, bytes], npt.NDArray]
    random: bool = True


def run_job(job: Job, folder: Path) -> dict[str, Any]:
    """Make a job's file and measure what its decoder gives."""
    data = load_data(job)
    start = time.perf_counter()
    path, further = METHODS[job.settings["kind"]].encode(job, data, folder)
    seconds = time.perf_counter() - start
    result = {"file": path.name, "kind": job.settings["kind"], **measure(job, folder, path.name, data)}
    result["encode_seconds"] = round(seconds, 3)
    return result | further | {"versions": versions() | further.get("versions", {})}


def measure(job: Job, folder: Path, file: str, data: CoordinateDataModule | None = None) -> dict[str, Any]:
    """Rate and distortion of a job's file, decoded now.

    Returns:
        ``bytes``, ``bpp``, ``psnr`` and ``decode_seconds``; for range images ``rmse`` in metres too, and
        ``psnr_valid`` and ``rmse_valid`` over the pixels with a return.
    """
    data = data or load_data(job)
    encoded = (folder / file).read_bytes()
    start = time.perf_counter()
    decoded = METHODS[job.settings["kind"]].decode(job, data, encoded)
    seconds = time.perf_counter() - start
    result = rate_and_distortion(len(encoded), data.values, decoded, data.spec, data.valid)
    return result | {"decode_seconds": round(seconds, 3)}


def reconstruct(job: Job, folder: Path, file: str) -> tuple[npt.NDArray, npt.NDArray]:
    """The original and the decoded signal of a finished job, (height, width, channels) each."""
    data = load_data(job)
    return data.values, METHODS[job.settings["kind"]].decode(job, data, (folder / file).read_bytes())


def load_data(job: Job) -> CoordinateDataModule:
    """The data module of a job, with its signal read."""
    data = _data_module(job.settings["data"])
    data.prepare_data()
    data.setup()
    return data


@cache
def versions() -> dict[str, str]:
    """Versions of what computes the figures."""
    packages = ("numpy", "torch", "pytorch-lightning", "pennylane-lightning", "constriction")
    found = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "quinr-pl": __version__, **found}


def merge(base: Tree, change: Tree) -> dict[str, Any]:
    """A tree with another's leaves put over it.

    A changed class starts with no arguments of the old one, and a changed quantization method with none of
    its options.

    Raises:
        QuinrError: If a changed class path leads to no class.
    """
    merged = dict(base)
    old, new = base.get("class_path"), change.get("class_path")
    if old and new and not same_class(old, new):
        merged.pop("init_args", None)
    if "method" in change and change["method"] != base.get("method"):
        merged = {}
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def nearest_siren(parameters: int, channels: int, layers: int) -> COIN:
    """The SIREN of so many layers whose number of parameters is nearest."""
    networks = (COIN(2, channels, layers, width) for width in range(1, _WIDEST_TWIN))
    best = next(networks)
    for network in networks:
        if abs(network.parameter_count() - parameters) > abs(best.parameter_count() - parameters):
            break
        best = network
    return best


def _job(data: Tree, method: str, point: str, seed: int, settings: Tree) -> Job:
    settings = {**settings, "data": data}
    cost = settings.pop("cost")
    if "fit" in settings:
        fit = merge(settings.pop("fit"), {"data": merge(data, {"init_args": {"seed": seed}})})
        trainer = {"logger": False, "callbacks": file_making_callbacks(fit)}
        settings["fit"] = merge(fit, {"seed_everything": seed, "trainer": trainer})
    return Job(_data_module(data).name, method, point, seed, settings, cost)


def file_making_callbacks(fit: Tree) -> list[Tree]:
    """Those callbacks of a fit's config that its file depends on."""
    kept = []
    for callback in fit.get("trainer", {}).get("callbacks", []):
        cls = find_class(callback["class_path"], Callback, "trainer.callbacks")
        if not issubclass(cls, _ONLY_SHOWING):
            kept.append(callback)
    return kept


def network_of(fit: Tree) -> Network:
    """The network of a fit's config, untrained, with the channels of its data."""
    return _network(fit, _data_module(fit["data"]).channels)


def _data_module(data: Tree) -> CoordinateDataModule:
    cls: Any = find_class(data["class_path"], CoordinateDataModule, "data.class_path")
    try:
        module: CoordinateDataModule = cls(**data.get("init_args", {}))
    except TypeError as error:
        raise QuinrError(f"data {data['class_path']}: {error}") from error
    return module


# ---- networks that `quinr-pl fit` fits


def _fit_points(description: Tree, comparison: Comparison, data: Tree) -> dict[str, Tree]:
    points = named("points", description.get("points") or {"one": {}})
    trees = {point: merge(description["fit"], change or {}) for point, change in points.items()}
    return {point: _fit_settings(tree, data) for point, tree in trees.items()}


def _twin_points(description: Tree, comparison: Comparison, data: Tree) -> dict[str, Tree]:
    """The points of another method, each with the SIREN that has as many parameters."""
    twin_of = comparison.methods[description["of"]]
    channels = _data_module(data).channels
    points = {}
    for point, settings in _fit_points(twin_of, comparison, data).items():
        siren = nearest_siren(
            _network(settings["fit"], channels).parameter_count(), channels, description["layers"]
        )
        arguments = {"layers": len(siren.hidden), "width": siren.output.in_features}
        network = {"class_path": "quinr_pl.network.COIN", "init_args": arguments}
        tree = merge(settings["fit"], {"model": {"network": network}})
        points[point] = _fit_settings(merge(tree, description.get("fit", {})), data)
    return points


def _fit_settings(tree: Tree, data: Tree) -> Tree:
    network = _network(tree, _data_module(data).channels)
    steps = tree.get("trainer", {}).get("max_steps", 1000)
    batch = tree.get("data", {}).get("init_args", {}).get("batch_size", 4096) or _WHOLE_SIGNAL
    cost = steps * batch * network.parameter_count() * (2.0 if network.quantum_layers() else 1.0)
    return {"kind": "fit", "fit": tree, "cost": cost}


def _network(tree: Tree, channels: int) -> Network:
    description = tree["model"]["network"]
    cls: Any = _network_class(tree)
    network: Network = cls(**{**description.get("init_args", {}), "out_features": channels})
    return network


def _network_class(tree: Tree) -> type[Network]:
    return find_class(tree["model"]["network"]["class_path"], Network, "model.network.class_path")


def _encode_fit(job: Job, data: CoordinateDataModule, folder: Path) -> tuple[Path, dict[str, Any]]:
    fitted = fit(_plain(job.settings["fit"]), folder)
    command = f"quinr-pl fit --config {folder / CONFIG} --trainer.default_root_dir {folder}"
    return fitted.path, {"parameters": fitted.parameters, "versions": fitted.versions, "command": command}


def _decode_fit(job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
    _network_class(job.settings["fit"])  # a module that brings a network may tell the decoder of it
    return decode(encoded, data.name, UNLIMITED).reconstruct()


# ---- JPEG 2000


def _jpeg2000_points(description: Tree, comparison: Comparison, data: Tree) -> dict[str, Tree]:
    settings = description.get("settings", {})
    _jpeg2000(settings)
    rates = [float(bpp) for bpp in description["points"]]
    points = [{"kind": "jpeg2000", "settings": settings, "bpp": bpp, "cost": 1e4} for bpp in rates]
    return named("points", zip([f"{bpp:g}" for bpp in rates], points, strict=True))


def _encode_jpeg2000(job: Job, data: CoordinateDataModule, folder: Path) -> tuple[Path, dict[str, Any]]:
    coder, masked = _jpeg2000(job.settings["settings"])
    path, bpp = folder / f"{data.name}.j2k", job.settings["bpp"]
    if masked:
        if data.valid is None:
            raise QuinrError(f"method {job.method}: mask: {data.name} is no range image; leave it out")
        mask = mask_section.write(data.valid)
        # No rate is left for the codestream where the mask alone takes more.
        rate = max(bpp - 8 * (_MASK_SIZE.size + len(mask)) / data.spec.pixels, 1e-3)
        stream = coder.encode(inpaint(data.values, data.valid), data.spec, rate)
        write_bytes(path, _MASK_SIZE.pack(len(mask)) + mask + stream)
    else:
        write_bytes(path, coder.encode(data.values, data.spec, bpp))
    return path, {"versions": {"glymur": version("glymur"), "openjpeg": openjpeg_version()}}


def _decode_jpeg2000(job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
    coder, masked = _jpeg2000(job.settings["settings"])
    if not masked:
        return coder.decode(encoded, data.spec)
    (size,) = _MASK_SIZE.unpack_from(encoded)
    start = _MASK_SIZE.size
    mask = mask_section.read(encoded[start : start + size], data.spec.shape)
    return replace(data.spec, mask=mask).masked(coder.decode(encoded[start + size :], data.spec))


def _jpeg2000(settings: Tree) -> tuple[JPEG2000, bool]:
    """The encoder of some settings, and whether our mask goes before its codestream."""
    further = dict(settings)
    masked = bool(further.pop("mask", False))
    return JPEG2000(**further), masked


# ---- COIN as published


def _coin_points(description: Tree, comparison: Comparison, data: Tree) -> dict[str, Tree]:
    shared = description.get("settings", {})
    points: dict[str, Tree] = {}
    for point, settings in named("points", description["points"]).items():
        merged = {**shared, **settings}
        coin = PublishedCOIN(**merged)
        points[point] = {
            "kind": "coin",
            "settings": merged,
            "cost": float(coin.steps * (coin.batch_size or _WHOLE_SIGNAL) * coin.layers * coin.width**2),
        }
    return points


def _encode_coin(job: Job, data: CoordinateDataModule, folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / f"{data.name}.fp16"
    encoded = PublishedCOIN(**job.settings["settings"]).encode(data.values, data.spec, job.seed)
    write_bytes(path, encoded)
    return path, {"parameters": len(encoded) // 2}


def _decode_coin(job: Job, data: CoordinateDataModule, encoded: bytes) -> npt.NDArray:
    return PublishedCOIN(**job.settings["settings"]).decode(encoded, data.spec)


METHODS: dict[str, Method] = {
    "fit": Method(_fit_points, _encode_fit, _decode_fit),
    "twin": Method(_twin_points, _encode_fit, _decode_fit),
    "jpeg2000": Method(_jpeg2000_points, _encode_jpeg2000, _decode_jpeg2000, random=False),
    "coin": Method(_coin_points, _encode_coin, _decode_coin),
}


def named(what: str, values: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Values by their names as text.

    Raises:
        QuinrError: If two names are one as text, such as 1 and "1".
    """
    pairs = list(values.items() if isinstance(values, Mapping) else values)
    found = {str(name): value for name, value in pairs}
    if len(found) < len(pairs):
        told = ", ".join(str(name) for name, _ in pairs)
        raise QuinrError(f"{what}: {told}: a name is there twice; rename one or leave it out")
    return found


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
