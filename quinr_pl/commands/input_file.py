"""Reads what a command is given: a file, a pipe or standard input."""

from __future__ import annotations

import math
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from quinr_pl.codec.file.source import REMEDY, reading
from quinr_pl.errors import QuinrError

STANDARD = "-"
"""Names standard input, and standard output."""


def shown(name: str) -> str:
    """What messages call an input."""
    return "standard input" if name == STANDARD else name or repr(name)


def read_file(name: str, most_bytes: float = math.inf, remedy: str = REMEDY) -> bytes:
    """The bytes of an input, and of a longer one one byte more than ``most_bytes``.

    Args:
        name: As the user gave it; ``-`` for standard input.
        most_bytes: Where to stop: never the whole of a file that is refused anyway, nor of a pipe without an
            end.
        remedy: What to give instead of an input that cannot be read.

    Raises:
        QuinrError: If it cannot be read.
    """
    count = -1 if math.isinf(most_bytes) else int(most_bytes) + 1
    with reading(shown(name), remedy):
        if name == STANDARD:
            return _standard_input(remedy).read(count)
        with Path(name).open("rb") as file:
            return file.read(count)


def require_file(name: str, remedy: str) -> None:
    """Refuses an input that is missing, empty or a folder.

    Args:
        name: As the user gave it; ``-`` for standard input.
        remedy: What to give instead.

    Raises:
        QuinrError: If it is.
    """
    if name == STANDARD:
        return
    with reading(shown(name), remedy):
        try:
            found = os.stat(name)
        except FileNotFoundError as error:
            raise QuinrError(f"{shown(name)}: no such file; {remedy}") from error
    if stat.S_ISDIR(found.st_mode):
        raise QuinrError(f"{name}: is a folder; {remedy}")
    if stat.S_ISREG(found.st_mode):
        require_bytes(name, found.st_size, remedy)


def require_bytes(name: str, size: int, remedy: str) -> None:
    """Refuses an input of no bytes.

    Args:
        name: As the user gave it; ``-`` for standard input.
        size: Bytes that it has.
        remedy: What to give instead.

    Raises:
        QuinrError: If it has none.
    """
    if size == 0:
        raise QuinrError(f"{shown(name)}: is empty; {remedy}")


def _standard_input(remedy: str) -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        what = "closed" if sys.stdin is None else "a terminal"
        raise QuinrError(f"{shown(STANDARD)}: is {what}; {remedy}")
    return sys.stdin.buffer


@contextmanager
def calling(path: Path, name: str) -> Iterator[None]:
    """Lets errors speak of a file of our own, which the user does not know, by another name."""
    try:
        yield
    except QuinrError as error:
        raise QuinrError(str(error).replace(str(path), name)) from error


def is_ordinary_file(name: str) -> bool:
    """Whether a name leads to a file that can be read twice, unlike a pipe or standard input."""
    try:
        return name != STANDARD and stat.S_ISREG(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False
