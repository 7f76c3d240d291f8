from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from quinr_pl.experiments.workers import end_worker, start_worker, temporary_files_in


def busy(mark: str) -> None:
    """Says that it lives, deaf to requests to end as Lightning is in the middle of a fit."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with tempfile.NamedTemporaryFile():
        Path(mark).write_text(f"{os.getpid()} {tempfile.gettempdir()}")
        time.sleep(600)


def told(mark: Path) -> tuple[int, str]:
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    number, folder = mark.read_text().split()
    return int(number), folder


def lives(process: int) -> bool:
    try:
        # A killed one whose parent has not asked for it lives no more.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look for processes in")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, number):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from quinr_pl.experiments.workers import end_worker, start_worker\n"
        "from quinr_pl.commands.interruption import interrupted_by_signals\n"
        "from tests.experiments.test_workers import busy\n"
        "if __name__ == '__main__':\n"
        "    worker = start_worker(busy, sys.argv[1])\n"
        "    try:\n"
        "        with interrupted_by_signals(): time.sleep(600)\n"
        "    finally: end_worker(worker)\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), str(tmp_path / "mark")]
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        worker, _ = told(tmp_path / "mark")
        assert lives(worker)
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
    deadline = time.monotonic() + 60
    while lives(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(worker)


def test_temporary_files_of_killed_workers_go_with_the_next_run(tmp_path):
    before = tempfile.gettempdir()
    with temporary_files_in(tmp_path):
        worker = start_worker(busy, str(tmp_path / "mark"))
        _, folder = told(tmp_path / "mark")
        assert Path(folder).parent == tmp_path
        assert list(Path(folder).iterdir())
        end_worker(worker)
    assert not Path(folder).exists()
    assert tempfile.gettempdir() == before
