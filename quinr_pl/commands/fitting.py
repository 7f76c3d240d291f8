"""One fit of `compress`: its settings, read once by the parser of `fit`, and its run."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from pytorch_lightning.cli import instantiate_class

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.callbacks import PSNRCheckpoint, WeightQuantization
from quinr_pl.class_paths import find_class
from quinr_pl.commands.lightning_cli import QuinrCLI
from quinr_pl.configs.find import find_config, packaged_config
from quinr_pl.datamodules import CoordinateDataModule, ImageDataModule
from quinr_pl.errors import QuinrError

_OWN = (
    "--data=ImageDataModule",
    "--data.path=",
    "--trainer.logger=false",
    "--trainer.default_root_dir=null",
    "--ckpt_path=null",
)
# Between the configs, which may say otherwise, and the flags, which may not.
_HARMLESS: dict[str, tuple[object, ...]] = {
    "logger": (False,),
    "default_root_dir": (None,),
    "enable_checkpointing": (None, True),
    "fast_dev_run": (False,),
    "barebones": (False,),
}
_NAME = "signal"


@dataclass(frozen=True)
class FitFlags:
    """What the command line says about the fit.

    Args:
        configs: YAML files or names of packaged configs, the first one first; ``compress.yaml`` where there
            are none.
        overrides: Flags of `fit`.
    """

    configs: Sequence[str]
    overrides: Sequence[str]

    @cached_property
    def config_paths(self) -> list[Path]:
        """Where the configs lie, looked for once."""
        named = [Path(find_config(name)).absolute() for name in self.configs]
        return named or [packaged_config("compress.yaml")]

    def resolve(self, sized: Sequence[str] = ()) -> dict[str, Any]:
        """All settings of the fit, but for the paths of its input and its run.

        Args:
            sized: Flags that count more than the configs and less than the overrides.

        Raises:
            QuinrError: If a flag or config is wrong, or would keep the fit from leaving its file.
        """
        configs = [f"--config={path}" for path in self.config_paths]
        cli = _SettingsOnly(["fit", *configs, *_OWN, *sized, *self.overrides])
        settings: dict[str, Any] = yaml.safe_load(cli.parser.dump(cli.config, skip_none=False))["fit"]
        settings.pop("config", None)
        _check(settings)
        return settings


class _SettingsOnly(QuinrCLI):
    """Reads a command line, and stops there."""

    def _set_seed(self) -> None:
        pass

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def _check(settings: dict[str, Any]) -> None:
    data = settings["data"]
    if find_class(data["class_path"], CoordinateDataModule, "--data") is not ImageDataModule:
        raise QuinrError(f"--data {data['class_path']}: compress reads its input itself; leave the flag out")
    if data["init_args"]["path"]:
        path = data["init_args"]["path"]
        raise QuinrError(f"--data.path {path}: give the file as the input of compress, without the flag")
    if settings["ckpt_path"] is not None:
        raise QuinrError(
            f"--ckpt_path {settings['ckpt_path']}: an interrupted compress goes on when the same command is "
            "run again; leave the flag out"
        )
    for name, harmless in _HARMLESS.items():
        value = settings["trainer"][name]
        if value not in harmless:
            raise QuinrError(
                f"--trainer.{name} {_flag_value(value)}: compress keeps a run until its file is written; "
                "leave the flag out, or use quinr-pl fit --config compress.yaml --data.path"
            )


def _flag_value(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"])
    return yaml.safe_dump(value, default_flow_style=True).splitlines()[0]


def read_signal(settings: dict[str, Any], path: Path) -> ImageDataModule:
    """The signal that a fit with these settings will have."""
    data = settings["data"]
    module: ImageDataModule = instantiate_class(
        (), data | {"init_args": data["init_args"] | {"path": str(path)}}
    )
    module.setup()
    return module


def fit(settings: dict[str, Any], path: Path, folder: Path, title: str) -> bytes:
    """The file of a fit, which goes on where an earlier one in its folder was interrupted.

    Args:
        settings: From `FitFlags.resolve`.
        path: The input.
        folder: For the run; one that holds a finished run is not fitted again.
        title: What the line with the figures begins with.

    Raises:
        QuinrError: If the input or a setting is wrong.
    """
    written = [folder / f"{_NAME}.quinr", folder / "result.json"]
    if not all(file.is_file() for file in written):
        make_folder(folder)
        complete = copy.deepcopy(settings)
        complete["data"]["init_args"]["path"] = str(path)
        complete["trainer"]["default_root_dir"] = str(folder)
        complete["ckpt_path"] = _readable_checkpoint(folder)
        if complete["ckpt_path"] is not None:
            print(f"{title}: goes on where it was interrupted", file=sys.stderr)
        config = folder / "fit.yaml"
        write_bytes(config, yaml.safe_dump(complete).encode())
        with _silent_about(folder):
            _CompressCLI(["fit", f"--config={config}"], title)
    if not all(file.is_file() for file in written):
        raise QuinrError(
            f"{title}: the fit left no file; see what its flags and callbacks do by quinr-pl fit"
        )
    return written[0].read_bytes()


@contextmanager
def _silent_about(folder: Path) -> Iterator[None]:
    """Keeps Lightning from naming a folder that will be gone when the user looks for it."""
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")

    def says_other(record: logging.LogRecord) -> bool:
        return str(folder) not in record.getMessage()

    logger.addFilter(says_other)
    try:
        yield
    finally:
        logger.removeFilter(says_other)


def _readable_checkpoint(folder: Path) -> str | None:
    """The state that an interrupted fit left in its folder."""
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        return None
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception:  # torch.load raises whatever the broken file leads to
        checkpoint.unlink()
        return None
    return str(checkpoint)


class _CompressCLI(QuinrCLI):
    """A fit whose callbacks speak of the file that the user knows."""

    def __init__(self, args: list[str], title: str) -> None:
        self._title = title
        super().__init__(args)

    def before_instantiate_classes(self) -> None:
        """Leaves out Lightning's copy of the config: ``fit.yaml`` says the same."""
        super().before_instantiate_classes()
        self.save_config_callback = None

    def after_instantiate_classes(self) -> None:
        """Refuses, before the first step, what would end without a file."""
        if self.trainer.world_size > 1:
            raise QuinrError(
                f"--trainer.devices {self.trainer.num_devices}: compress fits in one process; "
                "use quinr-pl fit"
            )
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        for needed in (WeightQuantization, PSNRCheckpoint):
            if not any(isinstance(callback, needed) for callback in callbacks):
                raise QuinrError(
                    f"--trainer.callbacks: compress needs {needed.__name__}; add to the callbacks by "
                    "--trainer.callbacks+=NAME instead of replacing them"
                )
        self.datamodule.name = _NAME
        for callback in callbacks:
            if isinstance(callback, PSNRCheckpoint):
                callback.title = self._title
                callback.continued_by = "the same command"
