import os
import signal
import threading
from pathlib import Path

import pytest
from processes import COMMAND, started, wait_until

from quinr_pl.commands import main as cli
from quinr_pl.commands.interruption import Terminated, interrupted_by_signals
from quinr_pl.commands.main import main

TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")


@pytest.fixture(autouse=True)
def heard():
    """Signals do what they do by default, whatever the parent ignores or libraries have set."""
    defaults = {signal.SIGINT: signal.default_int_handler}
    defaults |= dict.fromkeys((signal.SIGTERM, signal.SIGHUP), signal.SIG_DFL)
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _kill_while_running(number: int):
    def command(args):
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was not seen")

    return command


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "terminated"),
    ],
)
def test_every_command_ends_on_a_signal_with_one_line(number, status, said, monkeypatch, capsys):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    for name in cli.COMMANDS:
        monkeypatch.setitem(cli.COMMANDS, name, (_kill_while_running(number), ""))
        assert main([name]) == status
        assert capsys.readouterr().err == f"quinr-pl: {said}\n"
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_second_signal_does_not_break_what_the_first_set_off():
    with interrupted_by_signals():
        with pytest.raises(Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_commands_run_in_other_threads_too():
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(main(["inspect", "missing.quinr"])))
    thread.start()
    thread.join()
    assert statuses == [2]


@pytest.mark.slow
def test_a_terminated_fit_keeps_its_last_state_and_goes_on(tmp_path):
    command = [*COMMAND, "fit", "--config", TINY, "--trainer.max_steps", "1000000"]
    run = tmp_path / "runs" / "tiny" / "version_0"
    checkpoints = [run / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    with started(command, cwd=tmp_path) as process:
        wait_until(lambda: all(path.is_file() for path in checkpoints), process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "quinr-pl: terminated" in said
    assert "Go on with --ckpt_path last" in said
    assert set((run / "checkpoints").iterdir()) == set(checkpoints)
    assert not (run / "result.json").exists()
