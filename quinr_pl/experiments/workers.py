"""Processes that work for another one, and end with it however it ends."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from quinr_pl.atomic_file import make_folder

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
SPAWN = multiprocessing.get_context("spawn")
_TEMPORARY = ".temporary"


def start_worker(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Starts a process of one thread that ends with this one, even if this one is killed.

    Args:
        work: What it does; importable by name.
        arguments: Of the work.
    """
    process = SPAWN.Process(target=_live, args=(work, tempfile.gettempdir(), arguments), daemon=True)
    with environment(ONE_THREAD):
        process.start()
    return process


def end_worker(process: BaseProcess) -> None:
    """Ends a worker at once: what it was at is done again, so it may not ask for time."""
    process.kill()
    process.join()


def _live(work: Callable[..., None], temporary: str, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it tells when to end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tempfile.tempdir = temporary
    work(*arguments)


def _end_with_parent() -> None:
    # Were it to go on, the next attempt would meet it in its folder.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Temporary files of this process and its workers lie below a folder, where the next run finds them.

    Args:
        folder: One that no other process works in.
    """
    temporary, before = folder / _TEMPORARY, tempfile.tempdir
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed run left
    make_folder(temporary)
    tempfile.tempdir = str(temporary)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for a while: processes started then inherit them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
