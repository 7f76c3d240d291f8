"""The folder for what can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path

from quinr_pl.errors import QuinrError


def cache_root() -> Path:
    """This package's folder in the user's cache. A relative XDG_CACHE_HOME is ignored, as its standard says.

    Raises:
        QuinrError: If there is no home folder, or its path is not absolute.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "quinr-pl"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise QuinrError("there is no home folder; set HOME or XDG_CACHE_HOME") from error
    if not home.is_absolute():
        raise QuinrError(f"HOME {home}: is not an absolute path; set HOME or XDG_CACHE_HOME")
    return home / ".cache" / "quinr-pl"
