"""Where data lies: an argument, an environment variable, or a folder of the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "QUINR_DATA"


def data_root(root: str | None) -> Path | None:
    """The folder that an argument or the environment names.

    Args:
        root: The argument; the environment variable ``QUINR_DATA`` counts where it is None.

    Returns:
        The folder, which need not exist, or None where neither names one.
    """
    named = root or os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named).expanduser() if named else None


def cache_root() -> Path:
    """The folder for downloads where no root is named."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "quinr-pl"
