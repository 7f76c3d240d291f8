"""The fit of one input, in a folder that an interruption leaves to the next command."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from quinr_pl._version import __version__
from quinr_pl.commands.input_file import calling
from quinr_pl.commands.kept_run import kept_run
from quinr_pl.commands.rate import CompressedFile, OutOfReachError, RatedFit


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
    with kept_run(_digest(job), beside) as run, calling(job.path, name):
        try:
            compressed = job.run(run.folder)
            write(compressed.data)
            run.finished = True
        except OutOfReachError:
            run.finished = True
            raise
    return compressed


def _digest(job: RatedFit) -> str:
    """Names one input with one way to compress it."""
    asked = [__version__, asdict(job.ask), job.settings]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    digest.update(content_digest(job.path))
    return digest.hexdigest()[:32]


def content_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
