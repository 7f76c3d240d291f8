"""The run that --ckpt_path last and best mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fits import QUICK_TINY
from jsonargparse import Namespace

from quinr_pl.commands.main import main
from quinr_pl.errors import QuinrError
from quinr_pl.fitting.checkpoints import find_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def logger(kind: str = "TensorBoardLogger", **arguments):
    arguments = {"save_dir": "runs", "name": "tiny", "version": None, **arguments}
    return Namespace(class_path=f"pytorch_lightning.loggers.{kind}", init_args=Namespace(**arguments))


def trainer(loggers, root: str | None = None):
    return Namespace(logger=loggers, default_root_dir=root)


def run(name: str, which: str = "last") -> str:
    path = Path(name) / "checkpoints" / f"{which}.ckpt"
    path.parent.mkdir(parents=True)
    path.touch()
    return str(path)


def test_the_newest_run_that_has_one():
    run("runs/tiny/version_2")
    newest = run("runs/tiny/version_10")
    run("runs/tiny/version_11 (copy)")
    run("runs/tiny/version_x")
    run("runs/tiny/version_")
    Path("runs/tiny/version_12").mkdir()
    first, second = logger(), logger("CSVLogger")
    assert find_checkpoint(trainer([first, second]), "last") == newest
    assert (first.init_args.version, second.init_args.version) == (10, 10)


@pytest.mark.parametrize(
    ("version", "name"), [(3, "version_3"), ("mine", "mine"), ("version_0 (copy)", "version_0 (copy)")]
)
def test_the_run_that_is_named(version, name):
    run("runs/tiny/version_10")
    named = run(f"runs/tiny/{name}")
    assert find_checkpoint(trainer(logger(version=version)), "last") == named


def test_a_named_run_without_one_is_refused():
    run("runs/tiny/version_10")
    Path("runs/tiny/version_3").mkdir()
    with pytest.raises(QuinrError, match=r"version_3/checkpoints/last\.ckpt"):
        find_checkpoint(trainer(logger(version=3)), "last")


def test_sub_folders_and_no_name():
    inside = run("runs/version_1/part")
    run("runs/version_2")
    assert find_checkpoint(trainer(logger(name=None, sub_dir="part")), "last") == inside


def test_without_loggers_the_root_is_the_run():
    path = run("root", "best")
    assert find_checkpoint(trainer(False, "root"), "best") == path
    with pytest.raises(QuinrError, match="there is no checkpoints/best"):
        find_checkpoint(trainer(None), "best")


@pytest.mark.parametrize("one", [True, logger("MLFlowLogger")])
def test_loggers_whose_folders_are_not_known(one):
    with pytest.raises(QuinrError, match="give the path of the checkpoint"):
        find_checkpoint(trainer(one), "last")


def test_curves_of_the_first_part_are_kept():
    run("runs/tiny/version_0")
    for name in ("metrics.csv", "metrics_1.csv"):
        Path("runs/tiny/version_0", name).write_text(name)
    find_checkpoint(trainer(logger("CSVLogger")), "last")
    assert not Path("runs/tiny/version_0/metrics.csv").exists()
    assert Path("runs/tiny/version_0/metrics_2.csv").read_text() == "metrics.csv"


def test_a_fit_goes_on_in_the_run_that_is_named_and_not_with_another_signal(capsys):
    steps = [*QUICK_TINY, "--trainer.max_steps"]
    for _ in range(2):
        assert main(["fit", *steps, "2"]) == 0
    named = ["--trainer.logger.init_args.version", "0"]
    assert main(["fit", *steps, "4", "--ckpt_path", "last", *named]) == 0
    assert not Path("runs/tiny/version_2").exists()
    other = ["--data.image", "coffee", "--ckpt_path", "last"]
    for command in ("fit", "validate"):
        assert main([command, *steps, "4", *other]) == 2
        assert "it was fitted to another signal" in capsys.readouterr().err
    for different, said in (
        (["--model.network.qubits", "3"], "--model.network.qubits 3: "),
        (["--model.network", "COIN"], "--model.network COIN: "),
    ):
        assert main(["validate", *steps, "4", *different, "--ckpt_path", "last"]) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in line
        assert re.search(r"last.ckpt was fitted with (2|QuINR); leave the flag out", line)
        assert "{" not in line
