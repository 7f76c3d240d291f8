"""Bytes of a file, wherever a caller has it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from quinr_pl.errors import QuinrError

Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
"""The bytes themselves, the path of a file, or a binary stream."""

REMEDY = "give a .quinr file"
"""In place of what cannot be read."""


def read_source(source: Source, most_bytes: float = math.inf) -> tuple[bytes, str]:
    """The bytes of a source, and what messages call it.

    Args:
        source: Bytes, a path or a stream.
        most_bytes: Where to stop, one byte later: never the whole of what is refused anyway.

    Raises:
        QuinrError: If a path cannot be read, or a stream gives anything but bytes.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "bytes"
    count = -1 if math.isinf(most_bytes) else int(most_bytes) + 1
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        with reading(name or repr(name)), Path(name).open("rb") as file:
            return file.read(count), name
    name = str(getattr(source, "name", "stream"))
    data = source.read(count)
    if not isinstance(data, bytes):
        raise QuinrError(f"{name}: gives {type(data).__name__}, not bytes; open it in binary mode")
    return data, name


@contextmanager
def reading(name: str, remedy: str = REMEDY) -> Iterator[None]:
    """Refuses what the system does not let us read.

    Args:
        name: What messages call it.
        remedy: What to give instead.

    Raises:
        QuinrError: That says why it cannot be read.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise QuinrError(f"{name}: cannot read ({reason}); {remedy}") from error
