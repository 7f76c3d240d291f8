from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest
from processes import completed, started, wait_until

HANGING_FAMILY = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], close_fds=False)\n"
    "print('started', flush=True)\n"
    "time.sleep(600)\n"
)


def test_a_time_limit_ends_the_process_and_its_children() -> None:
    alive, held = os.pipe()  # its end is reached when nobody holds the other end any more
    with started([sys.executable, "-c", HANGING_FAMILY], pass_fds=[held]) as process:
        os.close(held)
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=0.1)
    assert process.returncode == -signal.SIGKILL
    assert select.select([alive], [], [], 60)[0]
    assert os.read(alive, 1) == b""
    os.close(alive)


def test_interrupts_are_heard_though_they_are_ignored_here() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with started([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]) as process:
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "KeyboardInterrupt" in output


def test_waiting_ends_with_the_process() -> None:
    with (
        pytest.raises(AssertionError, match="ended with status 3"),
        started([sys.executable, "-c", "raise SystemExit(3)"]) as process,
    ):
        wait_until(lambda: False, process)


def test_streams_are_apart_when_a_process_runs_to_its_end() -> None:
    done = completed([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")
