"""Which versions computed a figure."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

from quinr_pl._version import __version__

_PACKAGES = ("torch", "pytorch-lightning", "pennylane", "pennylane-lightning", "constriction", "numpy")


@cache
def versions(*further: str) -> dict[str, str]:
    """Versions of Python, of this package and of what it computes with.

    Args:
        further: Other installed packages.
    """
    found = {name: version(name) for name in (*_PACKAGES, *further)}
    return {"python": platform.python_version(), "quinr-pl": __version__, **found}
