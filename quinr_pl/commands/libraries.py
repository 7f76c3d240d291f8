"""Imports libraries whose settings may lie in the current folder, where a stranger may have left them."""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path


def import_away_from_the_current_folder() -> None:
    """Imports matplotlib and PennyLane.

    matplotlib reads ``matplotlibrc``, which can name code to run, and PennyLane ``config.toml``.
    """
    os.environ["MPLBACKEND"] = "agg"  # no command opens a window
    with contextlib.chdir(Path(__file__).parent):
        for library in ("matplotlib", "pennylane"):
            importlib.import_module(library)
