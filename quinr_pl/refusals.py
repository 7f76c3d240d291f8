"""Errors of other libraries and of the system that a user can mend, in one line.

A library's error is a refusal of what the user asked for if it was raised while the input was interpreted,
and by the library itself: the innermost frame of its traceback lies outside this package. Once the work has
begun, it is one if no code of this package took part. The system's refusals and a lack of memory always are.
Whatever else is raised is a fault of this package and keeps its traceback. QUINR_DEBUG=1 shows them all.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quinr_pl.errors import QuinrError

_DUMPED = re.compile(
    r"Given value type|Given value: (Namespace|NestedArg)\(|Subtypes: \[|Errors:$|"
    r"Expected a <class 'NoneType'>$"
)
_CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
_PLAIN_NAMES = {
    "int": "whole number",
    "float": "finite number",
    "str": "text",
    "tuple": "list",
    "Sequence": "list",
}
_UNION = re.compile(r"Does not validate against any of the Union subtypes$|\s*Errors:$")
_PACKAGE = Path(__file__).parent
_OWN_FOLDERS = {
    str(folder.resolve())
    for folder in (_PACKAGE, _PACKAGE.parent / "callbacks", _PACKAGE.parent / "datamodules")
}


@contextmanager
def interpreting(beneath: str | None = None) -> Iterator[None]:
    """While user input is interpreted: a library's refusal becomes a QuinrError.

    Args:
        beneath: A source file of this package that hands the work to a library. Then only errors that reach
            no other file of this package are refusals, rather than all that a library raised.
    """
    try:
        yield
    except QuinrError:
        raise
    except Exception as error:
        first = _first_error(error)
        if isinstance(first, QuinrError):  # of a class that jsonargparse builds: it tells of all it tried
            raise first from error
        files = _source_files(first)
        ours = any(map(_is_own, files[-1:] if beneath is None else set(files) - {__file__, beneath}))
        if isinstance(error, OSError) or ours:
            raise
        raise QuinrError(in_one_line(str(error)) or type(error).__name__) from error


def refusal(error: Exception) -> str | None:
    """What a user can do something about, in one line; None for a fault of this package."""
    if isinstance(error, QuinrError):
        return str(error)
    message = in_one_line(str(error))
    if isinstance(error, MemoryError) or "can't allocate memory" in message or "out of memory" in message:
        return (
            f"not enough memory ({message or 'allocation failed'}); give a smaller signal, batch or network"
        )
    if isinstance(error, OSError):
        what = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
        reason = error.strerror or message or type(error).__name__
        return f"{what}: {reason}" if what else f"the system refuses: {reason}"
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, which seldom names a flag
        return f"--trainer: {message}"
    return None


def in_one_line(message: str) -> str:
    """A message of several lines in one, without rules, dumps of what was parsed, and names of Python's.

    jsonargparse tells of each type that a value might have had, the absence of one among them.
    """
    lines = [re.sub(r"^\s*(- )*|\s+$", "", line) for line in message.splitlines() if line.strip(" -^~")]
    plain = [_plain(line) for line in lines if not _DUMPED.match(line)]
    joined = "; ".join(dict.fromkeys(line for line in plain if line))
    whole = re.sub(r"\s+", " ", re.sub(r":;", ":", joined))
    return re.sub(r'Parser key "([^"]+)": Parser key "', r'Parser key "\1.', whole)


def _plain(line: str) -> str:
    """A line of a message with types as one would call them."""
    named = _CLASS.sub(lambda found: _PLAIN_NAMES.get(found[1], found[1]), _UNION.sub("", line))
    return re.sub(r"a typing\.Literal\[([^]]*)\]", r"one of \1", named)


def _first_error(error: BaseException) -> BaseException:
    """What first went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _source_files(error: BaseException) -> list[str]:
    """Source files of an error's traceback, the innermost last."""
    return [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]


def _is_own(file: str) -> bool:
    return any(Path(file).resolve().is_relative_to(folder) for folder in _OWN_FOLDERS)
