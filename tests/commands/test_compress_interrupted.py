"""`quinr-pl compress` after interruptions: what is kept, and what goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from compressing import (
    QUICK,
    SMALL_FIT,
    TINY,
    TINY_LATENT,
    WAVES,
    interrupted_at,
    kept,
    write_gray,
    write_waves,
)
from processes import COMMAND, read_until, started

from quinr_pl.commands import kept_run, rate
from quinr_pl.commands.main import main

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("config", "steps", "at", "enlargements"),
    [
        (TINY, 10, 8, None),
        pytest.param(TINY, 10, 3, None, marks=pytest.mark.slow),
        pytest.param(TINY_LATENT, 40, 31, 0, marks=pytest.mark.slow),
        pytest.param(TINY_LATENT, 40, 9, 2, marks=pytest.mark.slow),
        pytest.param(TINY_LATENT, 40, 31, 2, marks=pytest.mark.slow),
    ],
    ids=lambda value: Path(str(value)).stem,
)
def test_an_interrupted_compress_goes_on_and_ends_in_the_same_bytes(
    config, steps, at, enlargements, folder, monkeypatch, capsys
):
    write_gray("photo.png", 32, 40)
    fit = ["--config", config, *QUICK, "--trainer.max_steps", str(steps)]
    if enlargements is not None:
        fit += ["--model.network.finest", "0", "--model.network.enlargements", str(enlargements)]
    assert main(["compress", "photo.png", "-o", "whole.quinr", *fit]) == 0
    command = ["compress", "photo.png", "-o", "again.quinr", *fit]
    with monkeypatch.context() as patch:
        interrupted_at(at, patch)
        assert main(command) == 130
    shown = capsys.readouterr().err
    assert "run the same command again to go on" in shown
    assert "ckpt_path" not in shown
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["again.quinr.part", "photo.png", "whole.quinr"]
    assert kept(folder) == [folder / "again.quinr.part"]
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(command) == 0
    assert calls[0] < steps
    assert Path("again.quinr").read_bytes() == Path("whole.quinr").read_bytes()
    assert kept(folder) == []


@pytest.mark.parametrize("other", ["input", "settings"])
def test_an_interruption_goes_on_only_with_the_same_input_and_settings(other, folder, monkeypatch):
    write_gray("photo.png")
    with monkeypatch.context() as patch:
        interrupted_at(3, patch)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 130
    assert len(kept(folder)) == 1
    if other == "input":
        write_gray("photo.png", 21)
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        seed = ["--seed_everything", "1"] if other == "settings" else []
        assert main(["compress", "photo.png", *SMALL_FIT, *seed]) == 0
    assert calls[0] == 4
    assert kept(folder) == []


def test_what_comes_from_a_pipe_is_kept_in_the_cache(folder, monkeypatch):
    write_gray("photo.png")
    os.mkfifo("pipe")
    with monkeypatch.context() as patch:
        interrupted_at(3, patch)
        assert main(["compress", "photo.png", "-o", "pipe", *SMALL_FIT]) == 130
    (left,) = kept(folder)
    assert left.parent == folder.parent / "cache" / "compress"


def test_an_interruption_before_there_is_anything_to_keep_leaves_nothing(folder, monkeypatch, capsys):
    write_gray("photo.png")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("quinr_pl.datamodules.ImageDataModule.read", interrupted)
    assert main(["compress", "photo.png", *SMALL_FIT]) == 130
    assert "same command" not in capsys.readouterr().err
    assert kept(folder) == []


def test_a_damaged_checkpoint_is_not_gone_on_with(folder, monkeypatch):
    write_gray("photo.png")
    with monkeypatch.context() as patch:
        interrupted_at(3, patch)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 130
    (left,) = kept(folder)
    for checkpoint in left.rglob("*.ckpt"):
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert main(["compress", "photo.png", *SMALL_FIT]) == 0
    assert kept(folder) == []


def test_a_finished_fit_is_not_lost_with_its_output(folder, monkeypatch, capsys):
    write_gray("photo.png")

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("quinr_pl.commands.output_file.write_bytes", full)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 2
        assert "No space left on device" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(["compress", "photo.png", *SMALL_FIT]) == 0
    assert calls[0] == 0
    assert kept(folder) == []


def test_processes_with_the_same_work_have_folders_of_their_own():
    with kept_run.kept_run("key") as first, kept_run.kept_run("key") as second:
        assert first.folder != second.folder
        (first.folder / "last.ckpt").touch()
    with kept_run.kept_run("key") as third:
        assert third.folder == first.folder
        assert (third.folder / "last.ckpt").exists()
        third.finished = True
    assert not first.folder.exists()


def test_a_folder_beside_an_output_is_of_one_process_and_of_one_piece_of_work(folder):
    output = folder / "x.quinr"
    with kept_run.kept_run("key", output) as first, kept_run.kept_run("key", output) as second:
        assert first.folder == folder / "x.quinr.part"
        assert second.folder.parent == folder.parent / "cache" / "compress"
        (first.folder / "last.ckpt").touch()
    with kept_run.kept_run("another", output) as third:
        assert third.folder == first.folder
        assert not (third.folder / "last.ckpt").exists()
    assert not first.folder.exists()


def test_what_nobody_goes_on_with_is_removed_after_a_month(folder):
    for age in (1, 40):
        with kept_run.kept_run(f"days{age}") as run:
            (run.folder / "last.ckpt").touch()
        then = time.time() - age * 24 * 3600
        os.utime(run.folder / ".lock", (then, then))
    with kept_run.kept_run("another") as run:
        run.finished = True
    assert [path.name for path in kept(folder)] == ["days1-0"]


@pytest.mark.slow
def test_finished_tries_are_not_repeated(folder, monkeypatch, capsys):
    monkeypatch.setattr(rate, "PSNR_TRIES", 2)
    write_waves("waves.png", 3)
    few = [*WAVES[:1], "20", *WAVES[2:]]
    command = ["compress", "waves.png", "--psnr", "3", *few]
    assert main([*command, "-o", "whole.quinr"]) == 0
    with monkeypatch.context() as patch:
        calls = interrupted_at(30, patch)
        assert main(command) == 130
    assert len(kept(folder)) == 1
    with monkeypatch.context() as patch:
        calls = interrupted_at(0, patch)
        assert main(command) == 0
    assert calls[0] == 10
    assert Path("waves.quinr").read_bytes() == Path("whole.quinr").read_bytes()
    assert kept(folder) == []


@pytest.mark.slow
def test_a_terminated_compress_leaves_one_folder_beside_the_output(folder):
    write_gray("pattern.png", 64, 64)
    Path("pattern.quinr").write_bytes(b"an earlier file")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    command = [*COMMAND, "compress", "pattern.png", "--overwrite", "--config", TINY]
    with started([*command, "--trainer.max_steps", "1000000"]) as process:
        read_until(process, "step ")
        process.send_signal(signal.SIGTERM)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "run the same command again to go on" in shown
    assert {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    checkpoint = next(Path("pattern.quinr.part").rglob("checkpoints/last.ckpt"))
    assert torch.load(checkpoint, weights_only=True)["global_step"] > 0
