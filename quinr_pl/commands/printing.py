"""What commands say of files, whose names may hold anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quinr_pl.errors import QuinrError


def printable(text: str) -> str:
    """A text with escapes for the letters that standard output cannot write."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text: str) -> None:
    """Prints a line, whatever letters it holds."""
    print(printable(text))


@contextmanager
def calling(path: Path, name: str) -> Iterator[None]:
    """Lets errors speak of a file of our own, which the user does not know, by another name."""
    try:
        yield
    except QuinrError as error:
        raise QuinrError(str(error).replace(str(path), name)) from error
