"""Where a command writes: checked before the work, and never over what is there unless asked to."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from quinr_pl.atomic_file import ensure_writable, write_bytes
from quinr_pl.commands.input_file import STANDARD, is_ordinary_file
from quinr_pl.commands.standard_streams import drop
from quinr_pl.errors import QuinrError
from quinr_pl.suffixes import with_suffix

_STANDARD_OUTPUT = {STANDARD, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}


def default_output(source: str, suffix: str) -> str:
    """The output of a command without ``--output``: the input's name with another suffix, in its folder.

    Args:
        source: The input; from standard input the way leads to standard output.
        suffix: With its dot.

    Raises:
        QuinrError: If the input is a pipe, in whose folder no file belongs.
    """
    if source == STANDARD:
        return STANDARD
    if not is_ordinary_file(source):
        raise QuinrError(f"{source}: is no ordinary file; name the output by -o")
    return str(with_suffix(Path(source), suffix))


class Output:
    """A file to be written, or standard output.

    Args:
        name: As the user gave it; ``-`` for standard output.
        source: The input, which is never written over.
        overwrite: Whether an existing file may be replaced.

    Attributes:
        name: What messages call it.

    Raises:
        QuinrError: If the file cannot be written, is the input, or is there and may not be replaced.
    """

    def __init__(self, name: str, source: str, overwrite: bool) -> None:
        self.standard: TextIO | None = None
        self.path = Path(name)
        self.name = name
        self._overwrite = overwrite
        if name in _STANDARD_OUTPUT:
            self.name = "standard output"
            if sys.stdout is None or sys.stdout.isatty():
                what = "closed" if sys.stdout is None else "a terminal, which a binary file would confuse"
                raise QuinrError(f"--output {name}: {self.name} is {what}; redirect it, or name a file")
            self.standard = sys.stdout
            return
        if not name or name.endswith(("/", os.sep)):
            raise QuinrError(f"--output {name!r}: names no file; give the name of one")
        if _is_input(name, source):
            raise QuinrError(f"{name}: is the input itself; name another output by -o")
        self._refuse_existing()
        ensure_writable(self.path)

    def _refuse_existing(self) -> None:
        if not self._overwrite and is_ordinary_file(self.name):
            raise QuinrError(f"{self.name}: exists; name another output by -o, or replace it by --overwrite")

    @property
    def is_ordinary(self) -> bool:
        """Whether it is, or will be, a file rather than a pipe, a device or standard output."""
        return self.standard is None and (not self.path.exists() or is_ordinary_file(self.name))

    def status_elsewhere(self) -> AbstractContextManager[Any]:
        """Lets what is printed go to standard error while standard output is for the file."""
        return nullcontext() if self.standard is None else redirect_stdout(sys.stderr)

    def write(self, data: bytes) -> None:
        """Writes the file.

        Raises:
            QuinrError: If it cannot be written, or came into being meanwhile.
        """
        if self.standard is None:
            self._refuse_existing()
            write_bytes(self.path, data)
            return
        try:
            self.standard.buffer.write(data)
            self.standard.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            drop(self.standard)
            raise QuinrError(f"{self.name}: cannot write ({error.strerror})") from error


def _is_input(name: str, source: str) -> bool:
    """Whether two names, or a name and standard input, lead to one file."""
    try:
        output = os.stat(name)
        if source != STANDARD:
            other = os.stat(source)
        elif sys.stdin is not None:
            other = os.fstat(sys.stdin.fileno())
        else:
            return False
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(output.st_mode) and os.path.samestat(output, other)
