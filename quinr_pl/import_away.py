"""Imports libraries whose settings may lie in the current folder, where a stranger may have left them."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any


def import_away(library: str) -> Any:
    """A library that reads no settings from the current folder.

    The folder is left only where the library is not imported yet: other threads may be writing to relative
    paths, as TensorBoard's does during a fit.

    Args:
        library: Its name.
    """
    if library not in sys.modules:
        with contextlib.chdir(Path(__file__).parent):
            importlib.import_module(library)
    return sys.modules[library]
