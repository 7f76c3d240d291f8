"""Checkpoints: which one ``--ckpt_path last`` and ``best`` mean, and whether a file is one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from quinr_pl.class_paths import find_class
from quinr_pl.errors import QuinrError

_VERSION = re.compile(r"version_(\d+)")


def find_checkpoint(trainer: Any, which: str) -> str:
    """The checkpoint of the run that the flags name; the loggers then write into that run's folder.

    A run's folder is that of the first logger. A version that is named is that run; otherwise the newest run
    that has such a checkpoint is meant.

    Args:
        trainer: The trainer's parsed arguments; loggers without a version get that of the run.
        which: "last" or "best".

    Raises:
        QuinrError: If there is none, or the first logger's folders are not known.
    """
    loggers = trainer.get("logger")
    loggers = loggers if isinstance(loggers, list) else [loggers] if loggers else []
    if not loggers:
        return _existing(Path(trainer.get("default_root_dir") or "."), which)
    if not all(_has_versions(logger) for logger in loggers[:1]):
        named = "true" if loggers[0] is True else loggers[0].class_path.split(".")[-1]
        raise QuinrError(
            f"--ckpt_path {which}: where --trainer.logger {named} keeps its runs is not known; "
            "give the path of the checkpoint"
        )
    first = loggers[0].init_args
    runs = _expanded(first.save_dir) / (first.get("name") or "")
    version = first.get("version")
    if version is None:
        version = _newest(runs, first.get("sub_dir"), which)
    folder = runs / (f"version_{version}" if isinstance(version, int) else str(version))
    checkpoint = _existing(folder / (first.get("sub_dir") or ""), which)
    for logger in filter(_has_versions, loggers):
        if logger.init_args.get("version") is None:
            logger.init_args.version = version
        if issubclass(_class_of(logger), CSVLogger):
            _put_aside(logger.init_args)
    return checkpoint


def _has_versions(logger: Any) -> bool:
    return logger is not True and issubclass(_class_of(logger), (TensorBoardLogger, CSVLogger))


def _class_of(logger: Any) -> type[Logger]:
    return find_class(logger.class_path, Logger, "--trainer.logger")


def _expanded(folder: Any) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(str(folder))))  # as Lightning's loggers do


def _existing(run: Path, which: str) -> str:
    path = run / "checkpoints" / f"{which}.ckpt"
    if not path.is_file():
        raise QuinrError(
            f"--ckpt_path {which}: there is no {path}; run fit first, or give another run or a path"
        )
    return str(path)


def _newest(runs: Path, sub_dir: str | None, which: str) -> int:
    folders = runs.iterdir() if runs.is_dir() else ()
    versions = [int(match[1]) for folder in folders if (match := _VERSION.fullmatch(folder.name))]
    with_one = [
        version
        for version in versions
        if (runs / f"version_{version}" / (sub_dir or "") / "checkpoints" / f"{which}.ckpt").is_file()
    ]
    if not with_one:
        raise QuinrError(f"--ckpt_path {which}: no run in {runs} has one; run fit first or give a path")
    return max(with_one)


def _put_aside(arguments: Any) -> None:
    """Renames the curves of the run's first part, which Lightning's CSVLogger would delete."""
    version = arguments.version
    folder = f"version_{version}" if isinstance(version, int) else str(version)
    curves = _expanded(arguments.save_dir) / (arguments.get("name") or "") / folder / "metrics.csv"
    if curves.is_file():
        free = next(n for n in range(1, 1 << 20) if not curves.with_name(f"metrics_{n}.csv").exists())
        curves.rename(curves.with_name(f"metrics_{free}.csv"))


def load_checkpoint(path: str) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU.

    Raises:
        QuinrError: If the file is none that Lightning wrote.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint["state_dict"], dict):
            raise TypeError("no weights")
        checkpoint["pytorch-lightning_version"]  # else it is of another program
        return dict(checkpoint)
    except Exception as error:  # torch.load raises whatever the broken file leads to
        raise QuinrError(
            f"--ckpt_path {path}: not a readable checkpoint; give one that a fit wrote"
        ) from error


def readable_checkpoint(folder: Path) -> str | None:
    """The state that an interrupted fit left in its folder; one that is cut is removed."""
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        return None
    try:
        load_checkpoint(str(checkpoint))
    except QuinrError:
        checkpoint.unlink()
        return None
    return str(checkpoint)
