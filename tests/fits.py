"""Small fits that tests share, and how to ask for one."""

from __future__ import annotations

import contextlib
from pathlib import Path

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
