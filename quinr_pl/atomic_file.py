"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quinr_pl.errors import QuinrError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that replaces ``path`` when the block ends without an error.

    Args:
        path: The file to write; its suffix is kept, since writers of pictures look at it.

    Raises:
        QuinrError: If the folder is missing or not writable.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise QuinrError(
            f"{path}: cannot write there ({error.strerror}); give a folder that exists"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's file is private; a plain write would not be
        temporary.replace(path)
    except OSError as error:
        raise QuinrError(f"{path}: cannot write ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one go.

    Raises:
        QuinrError: If the folder is missing or not writable.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
