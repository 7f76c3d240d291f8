"""Imports libraries whose settings may lie in the current folder, where a stranger may have left them."""

from __future__ import annotations

import os

from quinr_pl.import_away import import_away


def import_away_from_the_current_folder() -> None:
    """Imports matplotlib and PennyLane.

    matplotlib reads ``matplotlibrc``, which can name code to run, and PennyLane ``config.toml``.
    """
    os.environ["MPLBACKEND"] = "agg"  # no command opens a window
    for library in ("matplotlib", "pennylane"):
        import_away(library)
