"""Files that are whole or not there: the one way in which every file that matters is written."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quinr_pl.errors import QuinrError
from quinr_pl.file_lock import lock
from quinr_pl.suffixes import suffix_of

_ASIDE = ".quinr-pl-"
_LONGEST_SUFFIX = 16
_BLOCK = 4096
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None}  # what NumPy raises has no number


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that replaces ``path`` when the block ends without an error.

    What was there stays until the new file is whole and on the disk. A link stays, and what it points to
    is replaced; a pipe or a device is written to. The new file has the permissions of the old one, or
    those that a plain write would give. What a killed process left in the folder is removed.

    Args:
        path: The file to write; its suffix is kept, since writers of pictures look at it.

    Raises:
        QuinrError: If nothing can be written there, or the disk is full.
    """
    with _one_line(path):
        target, before = _destination(path)
        if before is not None and _is_written_to(path, before):
            with _aside(Path(tempfile.gettempdir()), suffix_of(path), 0o600) as temporary:
                yield temporary
                _copy(temporary, path)
            return
        mode = 0o666 if before is None else before.st_mode & 0o777
        with _aside(target.parent, suffix_of(path), mode) as temporary:
            yield temporary
            if before is not None:
                _give_permissions(temporary, before)
            _sync(temporary, os.O_RDWR)
            temporary.replace(target)
        with suppress(OSError):  # not every system has folders that can be synced
            _sync(target.parent, os.O_RDONLY)


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Writes a file in one go, as `atomic_path` does.

    Raises:
        QuinrError: If nothing can be written there, or the disk is full.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def ensure_writable(path: Path) -> None:
    """Finds out before long work whether `atomic_path` can write a file; leaves everything as it is.

    Raises:
        QuinrError: If it cannot.
    """
    with _one_line(path):
        target, before = _destination(path)
        if before is None or not _is_written_to(path, before):
            with _aside(target.parent, path.suffix, 0o600) as temporary:
                temporary.write_bytes(bytes(_BLOCK))


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are missing.

    Raises:
        QuinrError: If it cannot be made.
    """
    with _one_line(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turns what the operating system says into one line that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT:
            remedy = f"there is no folder {Path(os.path.realpath(path)).parent}; make it first"
        elif error.errno in _NO_ROOM:
            remedy = "free space on its disk, or write elsewhere"
        else:
            remedy = "give another name or folder"
        name = str(path) if str(path).isprintable() else repr(str(path))
        raise QuinrError(f"{name}: cannot write ({error.strerror or error}); {remedy}") from error


def _destination(path: Path) -> tuple[Path, os.stat_result | None]:
    """The file that a plain write would reach through links, and what it is now, if it is there."""
    try:
        target = Path(os.path.realpath(path))
        before = os.stat(path)
    except FileNotFoundError:
        return target, None
    except ValueError as error:  # a NUL, or letters that the file system's encoding lacks
        raise OSError(errno.EINVAL, f"no file can have this name: {error}") from error
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target, before


def _is_written_to(path: Path, before: os.stat_result) -> bool:
    """Whether a path is a pipe, a device or an open file of this process, which none may replace."""
    return not stat.S_ISREG(before.st_mode) or _own_descriptor(path) is not None


def _own_descriptor(path: Path) -> int | None:
    """The open file of this process that an existing path such as ``/dev/stdout`` stands for."""
    own = os.path.realpath("/dev/fd")
    while True:
        folder = os.path.realpath(path.parent)
        if folder == own and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = Path(folder, os.readlink(path))


def _copy(source: Path, path: Path) -> None:
    own = _own_descriptor(path)  # opened once more, a file would be written from its start
    with source.open("rb") as read, open(path if own is None else os.dup(own), "wb") as write:
        shutil.copyfileobj(read, write)


@contextmanager
def _aside(folder: Path, suffix: str, mode: int) -> Iterator[Path]:
    """A new file in a folder, locked, that is gone at the end if it is not renamed."""
    _remove_leftovers(folder)
    path, descriptor = _create(folder, suffix if len(suffix) <= _LONGEST_SUFFIX else "", mode)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def _create(folder: Path, suffix: str, mode: int) -> tuple[Path, int | None]:
    """A new file and, where the system locks files, what holds the lock."""
    while True:
        path = folder / f"{_ASIDE}{secrets.token_hex(8)}{suffix}"
        # O_EXCL follows no link that lies there already.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if not lock(descriptor, wait=True):
            os.close(descriptor)  # some systems rename no open file
            return path, None
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # another process was quicker, and removed it as a leftover


def _remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left in a folder: files of ours that no process has locked."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_ASIDE) and entry.is_file(follow_symlinks=False):
                _remove_if_unlocked(entry.path)


def _remove_if_unlocked(path: str) -> None:
    with suppress(OSError):  # gone meanwhile, or of another user
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            if lock(descriptor, wait=False):
                os.unlink(path)
        finally:
            os.close(descriptor)


def _give_permissions(path: Path, before: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):  # only the administrator gives files away
            os.chown(path, before.st_uid, before.st_gid)
    path.chmod(before.st_mode & 0o777)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
