"""Several inputs of `quinr-pl compress`."""

from __future__ import annotations

import errno
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from compressing import FEW_STEPS, error_lines, no_fit, write_gray, write_waves
from processes import COMMAND, completed, started, wait_until

from quinr_pl.commands import compress_files
from quinr_pl.commands.main import main
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.sweep import Outcome, perform

pytestmark = pytest.mark.usefixtures("folder")
STATE = Path("packed/.quinr-pl-compress")


class InProcess:
    """Runs the jobs here, one after the other; ends as a kill does after some of them."""

    def __init__(self, most: int = 100) -> None:
        self.most, self.ran = most, []

    def execute(self, jobs, folder, run_job, tell):
        for job in jobs:
            if len(self.ran) == self.most:
                raise KeyboardInterrupt
            self.ran.append(job.image)
            error = None
            try:
                perform(run_job, job, folder, partial(tell, job))
            except QuinrError as failure:
                error = str(failure)
            yield Outcome(job, error)


@pytest.fixture
def executor(monkeypatch):
    """Executors that are used, the last one in turn."""
    own = InProcess()
    monkeypatch.setattr(compress_files, "executor_of", lambda options, processes: own)
    return own


def outputs() -> dict[str, bytes]:
    files = [path for path in Path("packed").rglob("*.quinr") if STATE not in path.parents]
    return {str(path.relative_to("packed")): path.read_bytes() for path in files}


def test_files_and_folders_become_files_of_one_folder(executor, capsys):
    Path("more/inner").mkdir(parents=True)
    write_gray("a.png")
    write_waves("more/inner/b.png")
    Path("more/notes.txt").write_text("no picture")
    Path("more/._a.png").write_bytes(b"what macOS lays beside a picture")
    Path("more/.thumbnails").mkdir()
    write_gray("more/.thumbnails/c.png")
    assert main(["compress", "a.png", "more", "--out-dir", "packed", "--json", *FEW_STEPS]) == 0
    assert sorted(outputs()) == ["a.quinr", str(Path("inner/b.quinr"))]
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {name: figures[name]["bytes"] for name in figures} == {
        name: len(data) for name, data in outputs().items()
    }
    assert not STATE.exists()
    alone = ["compress", "a.png", "-o", "alone.quinr", *FEW_STEPS]
    assert main(alone) == 0
    assert Path("alone.quinr").read_bytes() == outputs()["a.quinr"]


def test_one_that_fails_is_named_and_the_others_go_on(executor, capsys):
    write_gray("a.png")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    arguments = ["compress", "broken.png", "a.png", "--out-dir", "packed", *FEW_STEPS]
    assert main(arguments) == 1
    assert list(outputs()) == ["a.quinr"]
    told = " ".join(capsys.readouterr().err.split())
    assert "FAILED broken.quinr" in told
    # Once it is mended, the same command does what is left.
    write_gray("broken.png")
    executor.ran.clear()
    assert main(arguments) == 0
    assert executor.ran == ["broken.quinr"]
    assert sorted(outputs()) == ["a.quinr", "broken.quinr"]
    assert not STATE.exists()


def test_an_interrupted_command_goes_on(executor):
    for name in ("a.png", "b.png", "c.png"):
        write_gray(name, width=12 + ord(name[0]) % 3)
    arguments = ["compress", "a.png", "b.png", "c.png", "--out-dir", "packed", *FEW_STEPS]
    executor.most = 2
    assert main(arguments) == 130
    done = outputs()
    assert len(done) == 2
    Path("packed", next(iter(done))).unlink()  # as if killed before the file came into place
    executor.most = 100
    assert main(arguments) == 0
    assert len(executor.ran) == 3
    assert outputs().items() > done.items()


def test_a_folder_that_cannot_be_read_is_named(capsys, monkeypatch):
    no_fit(monkeypatch)
    Path("more/closed").mkdir(parents=True)
    write_gray("more/a.png")
    scandir = os.scandir

    def closed(path):
        if Path(path) == Path("more/closed"):  # root may read all
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert main(["compress", "more", "--out-dir", "packed", *FEW_STEPS]) == 2
    (line,) = error_lines(capsys)
    assert f"{Path('more/closed')}: cannot read this folder (Permission denied)" in line


@pytest.mark.parametrize(
    ("inputs", "flags", "told"),
    [
        (["a.png", "a.jpg"], ["--out-dir", "packed"], "a.png and a.jpg: both would become a.quinr"),
        (["a.png", "sub"], ["--out-dir", "packed"], "both would become"),
        (["a.png", "b.png"], [], "--out-dir"),
        (["a.png", "b.png"], ["-o", "x.quinr", "--out-dir", "packed"], "--output x.quinr: names one file"),
        (["a.png", "missing.png"], ["--out-dir", "packed"], "missing.png: no such file"),
        (["empty"], ["--out-dir", "packed"], "empty: nothing in this folder"),
        (["a.png", "nothing.png"], ["--out-dir", "packed"], "nothing.png: is empty; give an image"),
        (["a.png", ""], ["--out-dir", "packed"], "'': no such file"),
        (["a.png", "b.png"], ["--out-dir", "a.png"], "error: a.png: cannot write"),
        (["a.png", "-"], ["--out-dir", "packed"], "standard input goes alone"),
        (["a.png", "b.png"], ["--out-dir", "packed", "--processes", "0"], "--processes 0"),
        (["a.png", "b.png"], ["--out-dir", "packed", "--bpp", "-1"], "--bpp -1"),
        (["a.png", "b.png"], ["--out-dir", "packed", "--trainer.max_stepz", "2"], "max_stepz"),
        (["there.png", "b.png"], ["--out-dir", "packed"], "there.quinr: exists"),
    ],
)
def test_what_is_wrong_is_found_before_the_work(inputs, flags, told, capsys, monkeypatch):
    no_fit(monkeypatch)
    for folder in ("sub", "empty", "packed"):
        Path(folder).mkdir()
    Path("packed/there.quinr").write_bytes(b"mine")
    Path("nothing.png").write_bytes(b"")
    for name in ("a.png", "a.jpg", "b.png", "sub/A.png", "there.png"):
        write_gray(name)
    assert main(["compress", *inputs, *flags]) == 2
    (line,) = error_lines(capsys)
    assert told in line
    assert Path("packed/there.quinr").read_bytes() == b"mine"
    assert [path.name for path in Path("packed").iterdir()] == ["there.quinr"]


@pytest.mark.slow
def test_a_killed_command_ends_with_the_same_files():
    for seed, name in enumerate(("a.npy", "b.npy", "c.npy")):
        np.save(name, np.random.default_rng(seed).integers(0, 256, (30, 40), dtype=np.uint8))
    arguments = ["compress", "a.npy", "b.npy", "c.npy", "--processes", "2", *FEW_STEPS]
    command = [*COMMAND, *arguments, "--trainer.max_steps", "30", "--out-dir"]
    assert completed([*command, "whole"]).returncode == 0
    with started([*command, "packed"]) as killed:
        # By their names: what else lies there is moved while one looks.
        wait_until(lambda: any(Path("packed", f"{name}.quinr").is_file() for name in "abc"), killed)
    assert completed([*command, "packed"]).returncode == 0
    assert outputs() == {path.name: path.read_bytes() for path in Path("whole").glob("*.quinr")}
    assert len(outputs()) == 3
