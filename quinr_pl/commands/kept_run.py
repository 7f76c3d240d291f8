"""A folder for the work of a command that an interruption leaves, and the next command finds."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quinr_pl.atomic_file import make_folder
from quinr_pl.errors import QuinrError
from quinr_pl.file_lock import lock
from quinr_pl.user_cache import cache_root

_LOCK, _KEY, _SUFFIX = ".lock", "key", ".part"
FINISHED_PART = ".frame"
"""Suffix of the files in a folder that hold a part of the work, and are kept as checkpoints are."""
_MOST_AT_ONCE = 64
_KEPT_SECONDS = 30 * 24 * 3600


class KeptRun:
    """A folder of one process.

    Attributes:
        folder: The folder's path.
        lasts: Whether a later command finds the folder.
        finished: Set when nothing in it is needed any more.
    """

    def __init__(self, folder: Path, lasts: bool) -> None:
        self.folder, self.lasts, self.finished = folder, lasts, False


@contextmanager
def kept_run(key: str, beside: Path | None = None) -> Iterator[KeptRun]:
    """The folder of a piece of work, for this process alone.

    It lies beside the file that the work ends in, or in the user's cache where that is none. It is removed at
    the end if the work is finished or has left no checkpoint. Processes with the same work at the same time
    have folders of their own. Where there is no cache either the folder does not last.

    Args:
        key: Names the work: its input and all of its settings.
        beside: The file, if its folder may hold another one.
    """
    with contextlib.ExitStack() as stack:
        folder = None if beside is None else _claim_beside(beside, key, stack)
        folder = folder or _claim(key, stack)
        lasts = folder is not None
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quinr-pl-")))
        run = KeptRun(folder, lasts)
        try:
            yield run
        finally:
            if run.finished or not _has_work(folder):
                if lasts:
                    shutil.rmtree(folder, ignore_errors=True)
            elif sys.exc_info()[0] is not None:
                how = "run the same command again to go on" if lasts else "the same command will start anew"
                print(f"quinr-pl: {how}", file=sys.stderr)


def _has_work(folder: Path) -> bool:
    """Whether there is something in a folder to go on with."""
    return any(folder.rglob("*.ckpt")) or any(folder.glob(f"*{FINISHED_PART}"))


def _claim_beside(path: Path, key: str, stack: contextlib.ExitStack) -> Path | None:
    """The folder beside a file, emptied of other work; None where it cannot be had."""
    folder = path.with_name(path.name + _SUFFIX)
    try:
        str(folder.absolute()).encode()  # settings that name the folder are kept as text
        descriptor = _lock_folder(folder)
        if descriptor is None:
            return None
        stack.callback(os.close, descriptor)
        named = folder / _KEY
        if not named.is_file() or named.read_text() != key:
            for left in folder.iterdir():
                if left.name != _LOCK:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            named.write_text(key)
    except (OSError, UnicodeEncodeError):
        return None
    return folder


def _claim(key: str, stack: contextlib.ExitStack) -> Path | None:
    """The first folder of a key that no other process has; None where none can be had."""
    try:
        root = cache_root() / "compress"
        make_folder(root)
        _remove_old(root)
        for number in range(_MOST_AT_ONCE):
            folder = root / f"{key}-{number}"
            descriptor = _lock_folder(folder)
            if descriptor is not None:
                stack.callback(os.close, descriptor)
                return folder
    except (OSError, QuinrError):
        pass
    return None


def _lock_folder(folder: Path) -> int | None:
    """An open file that locks a folder until it is closed; None where another process holds the lock."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with contextlib.suppress(OSError):  # removed meanwhile by the process that had it
        if lock(descriptor, wait=False) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            os.utime(path)
            return descriptor
    os.close(descriptor)
    return None


def _remove_old(root: Path) -> None:
    """Removes folders that nobody went on with for a month."""
    for path in root.glob(f"*/{_LOCK}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                descriptor = _lock_folder(path.parent)
                if descriptor is not None:
                    shutil.rmtree(path.parent, ignore_errors=True)
                    os.close(descriptor)
