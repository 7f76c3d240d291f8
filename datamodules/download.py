"""A file from the network: resumed after a break, checked, and complete or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from quinr_pl.atomic_file import write_bytes
from quinr_pl.errors import QuinrError
from quinr_pl.file_lock import lock

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 3
_RANGE_NOT_SATISFIABLE = 416


def download(url: str, path: Path, sha256: str, remedy: str) -> None:
    """Fetch a file to its place, unless it is already there, with the right digest.

    What arrived of a broken transfer stays in ``<path>.part``, and the next call goes on from its end. Of
    several processes one fetches, and the others wait for it.

    Args:
        url: Address of the file.
        path: Where to; its folder is made.
        sha256: Hexadecimal digest that the file must have.
        remedy: What the user can do instead, the end of every message.

    Raises:
        QuinrError: If the file cannot be had, or has another digest: it is then removed.
    """
    part = path.with_name(path.name + ".part")
    try:
        if _has_digest(path, sha256):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            if _has_digest(path, sha256):  # another process has fetched it meanwhile
                part.unlink(missing_ok=True)
                return
            _fetch_with_retries(url, file, remedy)
            file.seek(0)
            data = file.read()
            digest = hashlib.sha256(data).hexdigest()
            if digest == sha256:
                write_bytes(path, data)
            part.unlink()  # not before: a process that finds neither would fetch the file once more
            if digest != sha256:
                raise QuinrError(f"{url}: SHA-256 {digest} where {sha256} was expected; {remedy}")
    except OSError as error:
        raise QuinrError(
            f"{path}: cannot store the download ({error.strerror or error}); {remedy}"
        ) from error


def _has_digest(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """A part that no other process writes to, and no link to elsewhere."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(part, flags, 0o666), "r+b") as file:
            lock(file.fileno(), wait=True)
            if os.fstat(file.fileno()).st_nlink:
                yield file
                return
            # The process that held the lock has brought the file to its place.


def _fetch_with_retries(url: str, part: BinaryIO, remedy: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch(url, part)
            return
        except urllib.error.HTTPError as error:
            if (
                error.code == _RANGE_NOT_SATISFIABLE
            ):  # the part is whole, or of another file: the digest tells
                return
            raise QuinrError(f"{url}: the server answers {error.code}; {remedy}") from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if attempt == _ATTEMPTS:
                reason = getattr(error, "reason", None) or error or type(error).__name__
                raise QuinrError(f"{url}: no connection ({reason}); {remedy}") from error


def _fetch(url: str, part: BinaryIO) -> None:
    """Append to the part what it lacks.

    Raises:
        http.client.IncompleteRead: If the connection broke.
    """
    present = part.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={present}-"} if present else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        expected = response.length
        received = 0
        if not resumed:
            part.truncate(0)
            part.seek(0)
        while chunk := response.read(_CHUNK):
            part.write(chunk)
            received += len(chunk)
        part.flush()
        if expected is not None and received < expected:
            raise http.client.IncompleteRead(b"", expected - received)
