"""A file from the network: resumed after a break, checked, and complete or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from quinr_pl.errors import QuinrError

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 3
_RANGE_NOT_SATISFIABLE = 416


def download(url: str, path: Path, sha256: str, remedy: str) -> None:
    """Fetch a file to its place, unless it is already there.

    What arrived of a broken transfer stays in ``<path>.part``, and the next call goes on from its end.

    Args:
        url: Where from.
        path: Where to; its folder is made.
        sha256: Hexadecimal digest that the file must have.
        remedy: What the user can do instead, the end of every message.

    Raises:
        QuinrError: If the file cannot be had, or has another digest: it is then removed.
    """
    if path.is_file():
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch_with_retries(url, part, remedy)
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        if digest != sha256:
            part.unlink()
            raise QuinrError(f"{url}: SHA-256 {digest} where {sha256} was expected; {remedy}")
        part.replace(path)
    except OSError as error:
        raise QuinrError(
            f"{path}: cannot store the download ({error.strerror or error}); {remedy}"
        ) from error


def _fetch_with_retries(url: str, part: Path, remedy: str) -> None:
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


def _fetch(url: str, part: Path) -> None:
    """Append to the part what it lacks.

    Raises:
        http.client.IncompleteRead: If the connection broke.
    """
    present = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={present}-"} if present else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        expected = response.length
        received = 0
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
        if expected is not None and received < expected:
            raise http.client.IncompleteRead(b"", expected - received)
