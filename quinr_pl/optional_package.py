"""Packages that only some signals or comparisons need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from quinr_pl.errors import QuinrError

REQUIREMENTS = {
    "DracoPy": "DracoPy>=1.5",
    "laspy": "laspy[lazrs]>=2.5",
    "nibabel": "nibabel>=5.3",
    "plyfile": "plyfile>=1.0",
    "soundfile": "soundfile>=0.13",
}
"""As the extras in pyproject.toml have them."""


def optional_package(name: str, needs_it: str) -> ModuleType:
    """A package, imported.

    Args:
        name: Of the package and its module.
        needs_it: What needs it, for the message.

    Raises:
        QuinrError: That says how to install it.
    """
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: without the library that it wraps
        raise QuinrError(
            f"{needs_it}: {name} is not installed; pip install '{REQUIREMENTS[name]}'"
        ) from error
