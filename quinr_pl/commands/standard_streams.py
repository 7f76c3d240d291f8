"""Standard output that may be closed, full or read by nobody."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def open_standard_streams() -> None:
    """Opens what the shell closed: otherwise the next file to be opened would get all that is printed.

    Output that nobody can get is an error, as it is with a full disk; names that the terminal cannot show are
    escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)  # takes the lowest free number
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def unwritten_output() -> str | None:
    """Why standard output cannot be written, if so; then the rest is dropped."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop(sys.stdout)
        return f"standard output: cannot write ({error.strerror})"
    return None


def nobody_reads() -> bool:
    """Whether the reader of the output has gone, tried with an empty line; then the rest is dropped."""
    try:
        print(flush=True)
    except BrokenPipeError:
        drop(sys.stdout)
        return True
    return False


def drop(stream: TextIO) -> None:
    """Drops the rest of a stream's output, which Python would try to write once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
