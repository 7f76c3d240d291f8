from __future__ import annotations

import io
import json
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import started, wait_until
from rich.console import Console

from quinr_pl.errors import QuinrError
from quinr_pl.experiments import sweep as sweep_module
from quinr_pl.experiments.executors import LocalExecutor, RayExecutor
from quinr_pl.experiments.sweep import Job, Outcome, Tell, perform, read_result, run_sweep
from quinr_pl.fit_status import FitStatus

FOLDERS = os.pathsep.join(map(str, Path(__file__).parents[:2]))
"""Where a worker finds `double` and what this file imports."""
JOBS = [
    Job("a", "m", "low", 0, {"value": 1}),
    Job("a", "m", "high", 0, {"value": 2}),
    Job("b", "m/n", "low", 1, {"value": 3}),
]


class InProcess:
    """Runs the jobs here, one after the other."""

    def execute(self, jobs, folder, run_job, tell):
        for job in jobs:
            perform(run_job, job, folder, partial(tell, job))
            yield Outcome(job)


def double(job: Job, folder: Path, tell: Tell) -> dict:
    """The figures of a job: its value doubled, after a while, with a trace of every attempt."""
    for share in job.settings.get("shares", []):
        tell(FitStatus(share, f"at {share}", 30.0, 100, 0.1))
    if "trace" in job.settings:
        with open(job.settings["trace"], "a") as trace:
            trace.write(f"{job.folder}\n")
    behaviour = job.settings.get("behaviour")
    if behaviour == "bad input":
        raise QuinrError("--data.root nowhere: no such folder")
    if behaviour == "bug":
        raise ZeroDivisionError("oops")
    if behaviour == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "crash once" and not Path(job.settings["mark"]).exists():
        Path(job.settings["mark"]).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(job.settings.get("seconds", 0))
    (folder / "x.quinr").write_bytes(b"x")
    print("working with", os.environ.get("OMP_NUM_THREADS"), "thread")
    return {"psnr": 2.0 * job.settings["value"], "bpp": 0.5, "encode_seconds": 0.0}


def sweep(jobs, folder, executor):
    output = io.StringIO()
    failures = run_sweep(jobs, folder, double, executor, Console(file=output, width=300))
    return failures, output.getvalue()


def table(jobs, folder):
    return [read_result(job, folder) for job in jobs]


def test_results_lie_in_folders_of_their_own(tmp_path):
    failures, output = sweep(JOBS, tmp_path, InProcess())
    assert failures == []
    assert "b m/n low seed 1: 6.00 dB at 0.5000 bpp" in output
    result = json.loads((tmp_path / "b/m_n/low/seed_1/result.json").read_text())
    expected = {"image": "b", "method": "m/n", "point": "low", "seed": 1, "psnr": 6.0}
    assert expected.items() <= result.items()


def test_finished_jobs_are_skipped_and_changed_ones_run_again(tmp_path):
    trace = tmp_path / "trace"
    jobs = [Job("a", "m", str(n), 0, {"value": n, "trace": str(trace)}) for n in range(3)]
    sweep(jobs, tmp_path, InProcess())
    _, output = sweep(jobs, tmp_path, InProcess())
    assert "3 of 3 jobs have their result already" in output
    changed = [*jobs[:2], Job("a", "m", "2", 0, {**jobs[2].settings, "value": 9})]
    assert read_result(changed[2], tmp_path) is None
    sweep(changed, tmp_path, InProcess())
    assert trace.read_text().split() == ["a/m/0/seed_0", "a/m/1/seed_0", "a/m/2/seed_0", "a/m/2/seed_0"]
    assert read_result(changed[2], tmp_path)["psnr"] == 18


def test_half_written_result_is_none(tmp_path):
    perform(double, JOBS[0], tmp_path, lambda status: None)
    path = tmp_path / JOBS[0].folder / "result.json"
    path.write_text(path.read_text()[:10])
    assert read_result(JOBS[0], tmp_path) is None


def test_the_bar_moves_with_the_jobs_that_run(tmp_path, monkeypatch):
    class Recorded(sweep_module.Progress):
        def update(self, task, **fields):
            super().update(task, **fields)
            moves.append(self.tasks[0].completed)

    moves: list[float] = []
    monkeypatch.setattr(sweep_module, "Progress", Recorded)
    jobs = [
        Job("a", "m", "two fits", 0, {"value": 1, "shares": [0.5, 1.0, 0.75]}, cost=4.0),
        Job("a", "m", "one fit", 0, {"value": 2, "shares": [0.5]}, cost=2.0),
    ]
    sweep(jobs, tmp_path, InProcess())
    assert list(dict.fromkeys(moves)) == [2.0, 4.0, 3.0, 5.0, 6.0]


def test_processes_tell_how_far_they_are_also_one_that_dies(tmp_path):
    jobs = [
        Job("a", "m", behaviour, 0, {"behaviour": behaviour, "value": 1, "shares": [0.25, 0.5]})
        for behaviour in ("crash", "fine")
    ]
    told: dict[str, list[FitStatus]] = {}
    ended = {
        outcome.job.point: outcome.error
        for outcome in LocalExecutor(1).execute(
            jobs, tmp_path, double, lambda job, status: told.setdefault(job.point, []).append(status)
        )
    }
    assert ended == {"crash": "its process ended with status -9", "fine": None}
    statuses = [FitStatus(share, f"at {share}", 30.0, 100, 0.1) for share in (0.25, 0.5)]
    assert told == {"crash": statuses, "fine": statuses}


def test_failures_do_not_stop_the_rest(tmp_path):
    jobs = [
        Job("a", "m", behaviour, 0, {"behaviour": behaviour, "value": 1})
        for behaviour in ("bad input", "bug", "crash", "fine")
    ]
    failures, output = sweep(jobs, tmp_path, LocalExecutor(4))
    assert {outcome.job.point: outcome.error for outcome in failures} == {
        "bad input": "--data.root nowhere: no such folder",
        "bug": "ZeroDivisionError: oops",
        "crash": "its process ended with status -9",
    }
    assert output.count("FAILED") == 3
    assert "Traceback" in (tmp_path / "a/m/bug/seed_0/log.txt").read_text()
    assert "working with 1 thread" in (tmp_path / "a/m/fine/seed_0/log.txt").read_text()
    assert table(jobs, tmp_path)[3]["psnr"] == 2
    again, _ = sweep(jobs, tmp_path, LocalExecutor(4))
    assert len(again) == 3  # what failed is tried again, what is done is not


def test_needs_a_process():
    with pytest.raises(QuinrError, match="--processes 0"):
        LocalExecutor(0)


def has_results(folder: Path, jobs: list[Job], number: int) -> bool:
    # By their names: folders go while one looks.
    return sum((folder / job.folder / "result.json").is_file() for job in jobs) >= number


def test_killed_twice_ends_with_the_same_table(tmp_path):
    jobs = [Job("a", "m", str(n), 0, {"value": n, "seconds": 0.3}) for n in range(5)]
    sweep(jobs, tmp_path / "whole", InProcess())
    program = (
        "import sys; from pathlib import Path; from quinr_pl.experiments.executors import LocalExecutor\n"
        "from test_sweep import double; from quinr_pl.experiments.sweep import Job, run_sweep\n"
        "if __name__ == '__main__':\n"
        "    jobs = [Job('a', 'm', str(n), 0, {'value': n, 'seconds': 0.3}) for n in range(5)]\n"
        "    run_sweep(jobs, Path(sys.argv[1]), double, LocalExecutor(1))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": FOLDERS}
    for finished in (1, 3):
        command = [sys.executable, str(script), str(tmp_path / "killed")]
        with started(command, env=environment) as process:
            wait_until(partial(has_results, tmp_path / "killed", jobs, finished), process)
            process.kill()
            process.wait()
    sweep(jobs, tmp_path / "killed", InProcess())
    assert table(jobs, tmp_path / "killed") == table(jobs, tmp_path / "whole")


def test_an_address_where_nobody_listens_is_told_at_once(monkeypatch):
    tried = []
    fake = SimpleNamespace(is_initialized=lambda: False, init=lambda **arguments: tried.append(arguments))
    monkeypatch.setitem(sys.modules, "ray", fake)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        RayExecutor(address)
        RayExecutor(f"ray://{address}")
        RayExecutor("auto")
    assert [arguments["address"] for arguments in tried] == [address, f"ray://{address}", "auto"]
    for wrong in (address, f"ray://{address}"):
        with pytest.raises(QuinrError, match=f"--address {wrong}: no Ray cluster there .*refused"):
            RayExecutor(wrong)
    assert len(tried) == 3


def test_ray_survives_a_dead_worker(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("PYTHONPATH", FOLDERS)
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    jobs = [Job("a", "m", str(n), 0, {"value": n, "shares": [0.5]}) for n in range(4)]
    jobs.append(
        Job("a", "m", "dies", 0, {"value": 4, "behaviour": "crash once", "mark": str(tmp_path / "mark")})
    )
    jobs.append(Job("a", "m", "bad", 0, {"value": 5, "behaviour": "bad input"}))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        failures, _ = sweep(jobs, tmp_path / "sweep", RayExecutor())
        told = []
        outcomes = RayExecutor().execute(
            jobs[:2], tmp_path / "told", double, lambda job, status: told.append((job.point, status.share))
        )
        assert [outcome.error for outcome in outcomes] == [None, None]
    finally:
        ray.shutdown()
    assert [outcome.job.point for outcome in failures] == ["bad"]
    assert sorted(told) == [("0", 0.5), ("1", 0.5)]
    assert [result["psnr"] for result in table(jobs[:5], tmp_path / "sweep")] == [0, 2, 4, 6, 8]
    assert (tmp_path / "sweep/a/m/dies/seed_0/x.quinr").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Job("a", "jpeg 2000", "p", 0), Job("a", "jpeg_2000", "p", 0)),
        (Job("a", "jpeg 2000", "p", 0), Job("a", "jpeg_2000", "q", 0)),
        (Job("a", "COIN", "p", 0), Job("a", "coin", "p", 0)),
        (Job("photo", "m", "p", 0), Job("photo", "m", "p", 0)),
        (Job("a/b", "m", "p", 0), Job("a b", "m", "p", 0)),
        (Job("a", "m", "\uac00", 0), Job("a", "m", "\u1100\u1161", 0)),
        (Job("a", "m", "p", 3), Job("a", "m", "p", 3)),
    ],
)
def test_jobs_that_would_share_a_folder_are_refused(tmp_path, first, second):
    with pytest.raises(QuinrError, match="rename one") as caught:
        sweep([first, second], tmp_path, InProcess())
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", ".", "", "....", "x" * 201, "ü" * 101])
def test_names_of_no_folder_are_refused(tmp_path, name):
    (tmp_path / "precious").write_bytes(b"")
    for job in (Job(name, "m", "p", 0), Job("a", name, "p", 0), Job("a", "m", name, 0)):
        with pytest.raises(QuinrError, match="it names a folder"):
            sweep([job], tmp_path / "sweep", InProcess())
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("name", ["/abs", "../..", "a/b", "-rf", "a\0b", "a\nb", ".hidden", "~", "\udcff"])
def test_other_names_stay_inside(tmp_path, name):
    (job,) = [Job(name, name, name, 0, {"value": 1})]
    sweep([job], tmp_path, InProcess())
    (result,) = tmp_path.rglob("result.json")
    assert len(result.relative_to(tmp_path).parts) == 5
    assert read_result(job, tmp_path)["psnr"] == 2
