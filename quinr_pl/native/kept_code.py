"""Machine code on disk: only what this user wrote, whole and unchanged, is ever read back."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from quinr_pl.atomic_file import atomic_path
from quinr_pl.errors import QuinrError
from quinr_pl.user_cache import cache_root

_DIGEST_BYTES = hashlib.sha256().digest_size
_UNUSED_SECONDS = 60 * 24 * 3600
_FOLDER_FLAGS = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Opening a pipe without O_NONBLOCK would wait for a writer.
_FILE_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def once(name: str, key: str, title: str, compiler: Callable[[], bytes]) -> bytes:
    """Machine code that is compiled where none is kept, with a line on standard error.

    Args:
        name: What it is, for the file that keeps it.
        key: What it depends on, as hexadecimal digits.
        title: What it is, for the line that says it is compiled.
        compiler: Gives the code.
    """
    code = read(name, key)
    if code is None:
        _say(f"compiling {title}, once for this machine")
        code = compiler()
        if reason := write(name, key, code):
            _say_once(f"compiled code is not kept, the next run compiles again: {reason}")
    return code


def _say(line: str) -> None:
    if sys.stderr is not None:  # print would take stdout instead
        with suppress(OSError, ValueError):  # nobody listens any more
            print(f"quinr-pl: {line}", file=sys.stderr, flush=True)


_say_once = cache(_say)


def read(name: str, key: str) -> bytes | None:
    """Machine code that :func:`write` kept.

    Args:
        name: What it is.
        key: What it depends on, as hexadecimal digits.

    Returns:
        The code, or None where there is none that can be trusted: the file and its folder belong to this
        user, nobody else may write to them, no link stands for them, and the digest in the file is right.
    """
    folder = _folder()
    if folder is None:
        return None
    try:
        with _opened_folder(folder) as at, _opened(_file_name(name, key), folder, at) as descriptor:
            with open(descriptor, "rb", closefd=False) as file:
                kept = file.read()
            with suppress(
                OSError, TypeError
            ):  # a disk that is read only; systems without times by descriptor
                os.utime(descriptor)  # in use: see _forget_unused
    except OSError:
        return None
    digest, code = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
    return code if digest == _digest(key, code) else None


def write(name: str, key: str, code: bytes) -> str:
    """Keeps machine code for later processes, and forgets what has not been used for sixty days.

    Args:
        name: What it is.
        key: What it depends on, as hexadecimal digits.
        code: Machine code of one object file.

    Returns:
        Why it could not be kept; empty if it was.
    """
    folder = _folder()
    if folder is None:
        return "neither XDG_CACHE_HOME nor the home folder is an absolute path"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        with _opened_folder(folder):
            path = folder / _file_name(name, key)
            path.unlink(missing_ok=True)  # a link would be followed, permissions of a file kept
            with atomic_path(path) as temporary:
                temporary.write_bytes(_digest(key, code) + code)
            path.chmod(0o600)
            _forget_unused(folder)
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror}"
    except QuinrError as error:
        return str(error)
    return ""


def _folder() -> Path | None:
    """Where code is kept; None without a home."""
    try:
        return cache_root() / "machine-code"
    except QuinrError:
        return None


def _file_name(name: str, key: str) -> str:
    return f"{name}-{key[:16]}.o"


def _digest(key: str, code: bytes) -> bytes:
    return hashlib.sha256(key.encode() + code).digest()


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int | None]:
    """A descriptor of a folder that is this user's alone; None where the system has none of folders."""
    if os.open not in os.supports_dir_fd:
        yield None
        return
    descriptor = os.open(folder, os.O_RDONLY | _FOLDER_FLAGS)
    try:
        _refuse_foreign(os.fstat(descriptor), folder)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _opened(name: str, folder: Path, at: int | None) -> Iterator[int]:
    """A descriptor of a file in a folder that is this user's alone.

    The descriptor itself is looked at: what lies under the name may change at any moment.
    """
    flags = os.O_RDONLY | _FILE_FLAGS
    descriptor = os.open(folder / name, flags) if at is None else os.open(name, flags, dir_fd=at)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PermissionError(None, "no ordinary file", str(folder / name))
        _refuse_foreign(found, folder / name)
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_foreign(found: os.stat_result, path: Path) -> None:
    """Refuse what somebody else may have written, on systems that know of users."""
    if not hasattr(os, "geteuid"):
        return
    if found.st_uid != os.geteuid():
        raise PermissionError(None, "belongs to another user; remove it or set XDG_CACHE_HOME", str(path))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(None, "other users can write to it; chmod go-w it", str(path))


def _forget_unused(folder: Path) -> None:
    oldest = time.time() - _UNUSED_SECONDS
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # another process may have removed it
                if entry.name.endswith(".o") and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)
