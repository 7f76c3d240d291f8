"""Processes that tests start: none outlives its test, and none can hang it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

COMMAND = [sys.executable, "-m", "quinr_pl"]


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that hears interrupts; it and all that it started are killed when the block is left.

    Args:
        command: Program and arguments.
        options: Of ``subprocess.Popen``. Both streams come in one pipe, as text, unless told otherwise.
    """
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    # Under nohup, or in the background of a script, interrupts are ignored, and children inherit that.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command, text=True, errors="replace", start_new_session=True, **(streams | options)
        )
    finally:
        signal.signal(signal.SIGINT, heard)
    with process:
        try:
            yield process
        finally:
            _kill_all(process)


def _kill_all(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(process.pid, signal.SIGKILL)


def completed(
    command: Sequence[str], seconds: float = 300, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a process to its end, for at most so many seconds.

    Args:
        command: Program and arguments.
        seconds: After which it is killed.
        options: Of ``subprocess.Popen``. Each stream has a pipe of its own unless told otherwise.

    Raises:
        subprocess.TimeoutExpired: If it takes longer.
    """
    with started(command, **({"stderr": subprocess.PIPE} | options)) as process:
        output, errors = process.communicate(timeout=seconds)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def read_until(process: subprocess.Popen[str], text: str, seconds: float = 120) -> str:
    """What a process prints, up to the end of the line with this text; it is killed if that takes longer."""
    assert process.stdout is not None
    said = ""
    guard = threading.Timer(seconds, _kill_all, [process])
    guard.start()
    try:
        while text not in said:
            line = process.stdout.readline()
            assert line, f"it ended, and had not said {text!r}:\n{said}"
            said += line
    finally:
        guard.cancel()
    return said


def wait_until(happened: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Waits for what a process does, and fails as soon as it cannot happen any more."""
    deadline = time.monotonic() + seconds
    while not happened():
        if process.poll() is not None and not happened():
            _kill_all(process)  # its children hold the pipe, too
            said = process.stdout.read() if process.stdout else ""
            raise AssertionError(f"it ended with status {process.returncode} before:\n{said}")
        if time.monotonic() > deadline:
            raise AssertionError(f"it has not happened within {seconds} s")
        time.sleep(0.02)
