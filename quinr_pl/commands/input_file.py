"""Reads what a command is given."""

from __future__ import annotations

from pathlib import Path

from quinr_pl.errors import QuinrError


def read_file(path: Path) -> bytes:
    """The bytes of a `.quinr` file.

    Raises:
        QuinrError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise QuinrError(f"{path}: cannot read ({error.strerror}); give a .quinr file") from error
