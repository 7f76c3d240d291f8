"""OpenJPEG through glymur, which finds it inside Pillow's wheel where the system has none."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quinr_pl.errors import QuinrError


def openjpeg_version() -> str:
    """Version of the OpenJPEG library that encodes.

    Raises:
        QuinrError: If there is none.
    """
    return str(glymur().version.openjpeg_version)


@cache
def glymur() -> Any:
    """Give glymur with an OpenJPEG: one that it finds itself, or the one inside Pillow's wheel.

    glymur looks for its library when it is first imported, and swapping it later crashes.
    """
    if "glymur" in sys.modules or find_library("openjp2"):
        module = import_module("glymur")
    else:
        with _bundled_openjpeg():
            module = import_module("glymur")
    if module.version.openjpeg_version == "0.0.0":
        raise QuinrError(
            "JPEG 2000: glymur found no OpenJPEG library and Pillow's wheel holds none; install OpenJPEG "
            "(libopenjp2) or name it in glymurrc"
        )
    module.set_option("lib.num_threads", 1)  # jobs share the machine by process
    return module


@contextmanager
def _bundled_openjpeg() -> Iterator[None]:
    """A configuration folder for glymur that names Pillow's OpenJPEG, unless the user has one."""
    home = os.environ.get("XDG_CONFIG_HOME")
    users = [Path.cwd(), Path(home or Path.home() / ".config") / "glymur"]
    library = bundled_openjpeg()
    if library is None or any((folder / "glymurrc").is_file() for folder in users):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "glymur").mkdir()
        (Path(folder) / "glymur" / "glymurrc").write_text(f"[library]\nopenjp2: {library}\n")
        os.environ["XDG_CONFIG_HOME"] = folder
        try:
            yield
        finally:
            if home is None:
                del os.environ["XDG_CONFIG_HOME"]
            else:
                os.environ["XDG_CONFIG_HOME"] = home


def bundled_openjpeg() -> Path | None:
    """The OpenJPEG library inside Pillow's wheel, if there is one."""
    package = find_spec("PIL")
    if package is None or not package.submodule_search_locations:
        return None
    site = Path(package.submodule_search_locations[0])
    folders = (site.parent / "pillow.libs", site / ".dylibs")
    found = [path for folder in folders for path in sorted(folder.glob("libopenjp2*"))]
    return found[0] if found else None
