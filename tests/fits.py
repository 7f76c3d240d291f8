"""Small fits that tests share, and how to ask for one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from quinr_pl.commands.main import main

_CONF = Path(__file__).parent / "conf"
TINY = str(_CONF / "tiny.yaml")
QUICK = ["--config", str(_CONF / "quick_callbacks.yaml")]
QUICK_TINY = ["--config", TINY, *QUICK]


def fitted(folder: Path, *flags: str) -> Path:
    """A folder in which `quinr-pl fit` has run."""
    with contextlib.chdir(folder):
        assert main(["fit", *flags]) == 0
    return folder


def quiet_trainer(folder: Path, callbacks: list[pl.Callback], steps: int, **arguments: Any) -> pl.Trainer:
    """A trainer on the CPU that leaves what its callbacks write, and no logs."""
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_steps=steps,
        callbacks=callbacks,
        **arguments,
    )
