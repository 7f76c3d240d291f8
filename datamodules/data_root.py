"""Where data lies, as an argument or an environment variable says."""

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
