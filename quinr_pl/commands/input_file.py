"""Reads what a command is given."""

from __future__ import annotations

from pathlib import Path

from quinr_pl.errors import QuinrError


def read_file(path: Path, most_bytes: float) -> bytes:
    """The bytes of a `.quinr` file, and of a longer file one byte more than ``most_bytes``.

    Raises:
        QuinrError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            # Never the whole of a file that is refused anyway, nor of a pipe without an end.
            return file.read(int(most_bytes) + 1 if most_bytes < float("inf") else -1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise QuinrError(f"{path}: cannot read ({reason}); give a .quinr file") from error
