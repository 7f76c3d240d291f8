"""Locks on files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quinr_pl.errors import QuinrError

if sys.platform != "win32":
    import fcntl

_LOCK = ".lock"


def lock(descriptor: int, wait: bool) -> bool:
    """Locks an open file against other processes until it is closed.

    Args:
        descriptor: The open file.
        wait: Whether to wait for a process that holds it.

    Returns:
        Whether it is locked: False too where the system has no such locks.
    """
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@contextmanager
def locked_folder(folder: Path, flag: str) -> Iterator[None]:
    """A folder that no other process works in meanwhile.

    Args:
        folder: The folder, which has to exist.
        flag: The flag that named it, for the message.

    Raises:
        QuinrError: If another process is at work there.
    """
    path = folder / _LOCK
    descriptor = _opened(path, f"{flag} {folder}")
    try:
        with suppress(OSError):  # a full disk: the lock holds without the number
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _opened(path: Path, name: str) -> int:
    """A locked file of a path: the one that still lies there, should its owner just have ended."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise QuinrError(f"{name}: cannot write there ({error.strerror}); give another folder") from error
        if not lock(descriptor, wait=False) and sys.platform != "win32":
            process = os.read(descriptor, 20).decode(errors="replace").strip() or "another"
            os.close(descriptor)
            raise QuinrError(
                f"{name}: process {process} is at work there; wait for its end or give another folder"
            )
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)
