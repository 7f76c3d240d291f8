"""The fits of a file, in a folder that an interruption leaves to the next command."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from quinr_pl._version import __version__
from quinr_pl.commands.ask import OutOfReachError
from quinr_pl.commands.input_file import calling
from quinr_pl.commands.kept_run import kept_run
from quinr_pl.commands.rate import CompressedFile, RatedFit


def run_kept(job: RatedFit, name: str, beside: Path | None, write: Callable[[bytes], None]) -> CompressedFile:
    """Fits an input, going on where an earlier command with the same input and settings was interrupted.

    Args:
        job: Input and settings.
        name: What messages call the input.
        beside: The file that the state lies beside; None for the user's cache.
        write: Puts the bytes where they belong, before the state is removed.

    Raises:
        QuinrError: If the input or a setting is wrong, or what is asked for is out of reach.
    """
    key = work_digest(job, [job.path])
    with calling(job.path, name):
        return run_kept_work(job, key, beside, write)


class Work(Protocol):
    """What makes a file in a folder, and goes on there."""

    def run(self, folder: Path) -> CompressedFile:
        """Makes the file."""


def run_kept_work(
    work: Work, key: str, beside: Path | None, write: Callable[[bytes], None]
) -> CompressedFile:
    """Makes a file, going on where an earlier command with the same key was interrupted.

    Args:
        work: Makes it.
        key: Names its inputs and settings, see `work_digest`.
        beside: See `run_kept`.
        write: See `run_kept`.

    Raises:
        QuinrError: If an input or a setting is wrong, or what is asked for is out of reach.
    """
    with kept_run(key, beside) as run:
        try:
            compressed = work.run(run.folder)
            write(compressed.data)
            run.finished = True
        except OutOfReachError:
            run.finished = True
            raise
    return compressed


def work_digest(fit: RatedFit, paths: Sequence[Path], *more: Any) -> str:
    """Names inputs with one way to compress them.

    Args:
        fit: Of one of them.
        paths: Of all.
        more: What else decides about the file, as JSON can hold it.
    """
    asked = [__version__, asdict(fit.ask), fit.settings, *more]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for path in paths:
        digest.update(content_digest(path))
    return digest.hexdigest()[:32]


def content_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
