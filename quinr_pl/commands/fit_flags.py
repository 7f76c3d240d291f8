"""Settings of the fits of `compress`, read once by the parser of `fit`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning.cli import instantiate_class

from quinr_pl.class_paths import find_class
from quinr_pl.configs.find import find_config, packaged_config
from quinr_pl.datamodules import CoordinateDataModule, ImageDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.fitting.checks import check_length
from quinr_pl.fitting.cli import read_settings

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


@dataclass(frozen=True)
class FitFlags:
    """What the command line says about the fit.

    Args:
        configs: YAML files or names of packaged configs, the first one first.
        overrides: Flags of `fit`.
    """

    configs: Sequence[str]
    overrides: Sequence[str]

    @cached_property
    def config_paths(self) -> list[Path]:
        """Where the configs lie, looked for once."""
        return [Path(find_config(name)).absolute() for name in self.configs]

    def resolve(self, base: str, planned: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All settings of the fit, but for the paths of its input and its run.

        Args:
            base: The packaged config that counts where the user names none.
            planned: Settings by their flags that count more than the configs and less than the overrides.

        Raises:
            QuinrError: If a flag or config is wrong, or would keep the fit from leaving its file.
        """
        configs = [f"--config={path}" for path in self.config_paths or [packaged_config(base)]]
        flags = [f"--{name}={in_flag(value)}" for name, value in (planned or {}).items()]
        settings = read_settings([*configs, *_OWN, *flags, *self.overrides])
        _check(settings)
        return settings

    def reads_volumes(self) -> bool:
        """Whether arrays are volumes: what has four axes is then one signal, and no frames."""
        return bool(self.resolve("compress.yaml")["data"]["init_args"]["volume"])


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
    trainer = settings["trainer"]
    check_length(trainer)
    if trainer["max_steps"] < 0 and trainer["max_epochs"] in (None, -1) and trainer["max_time"] is None:
        raise QuinrError(
            f"--trainer.max_steps {trainer['max_steps']}: the fit would never end, and leave no file; give a "
            "positive number, or --trainer.max_time"
        )
    for name, harmless in _HARMLESS.items():
        value = trainer[name]
        if value not in harmless:
            raise QuinrError(
                f"--trainer.{name} {_flag_value(value)}: compress keeps a run until its file is written; "
                "leave the flag out, or use quinr-pl fit with a config of your own"
            )


def _flag_value(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        return str(value["class_path"])
    return in_flag(value)


def in_flag(value: Any) -> str:
    """A value as a flag takes it: YAML in one line, however long."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).splitlines()[0]


def read_signal(settings: dict[str, Any], path: Path) -> ImageDataModule:
    """The signal that a fit with these settings will have."""
    data = settings["data"]
    module: ImageDataModule = instantiate_class(
        (), data | {"init_args": data["init_args"] | {"path": str(path)}}
    )
    module.setup()
    return module
