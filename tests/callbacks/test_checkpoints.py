from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from fits import TINY, quiet_trainer
from pytorch_lightning.plugins.io import AsyncCheckpointIO, TorchCheckpointIO

from quinr_pl.callbacks import FitProgress, PSNRCheckpoint, WeightQuantization
from quinr_pl.checkpoint_io import AtomicCheckpointIO, write_checkpoints_atomically
from quinr_pl.commands.main import main
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import COIN, LatentQuINR

NETWORKS = {
    "weights": lambda: COIN(layers=2, width=8),
    "latents": lambda: LatentQuINR(height=11, width=16, grids=3, rate_weight=1e-9, context_width=4),
    "tiles": lambda: LatentQuINR(height=11, width=16, grids=2, rate_weight=1e-9, step_pixels=90),
}


class Killed(BaseException):
    """As if the process had ended: nobody may catch it."""


class Signal(pl.Callback):
    """Sends an interrupt at a hook, once a number of steps has been taken."""

    def __init__(self, hook: str, step: int) -> None:
        self.step = step
        setattr(self, hook, self.send)

    def send(self, trainer: pl.Trainer, *arguments) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)
            self.step = -1


@pytest.fixture(autouse=True)
def interrupts():
    """Lightning ends an interrupted fit with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def fit(
    folder: Path,
    kind: str,
    *callbacks: pl.Callback,
    go_on: bool = False,
    steps: int = 12,
    first: bool = False,
) -> bytes:
    torch.manual_seed(0)
    size = 64 if kind == "weights" else None
    data = SampleDataModule(image="chelsea", longer_side=16, batch_size=size, steps_per_epoch=4)
    own = [WeightQuantization(), PSNRCheckpoint(), FitProgress()]
    trainer = quiet_trainer(folder, [*callbacks[:first], *own, *callbacks[first:]], steps)
    last = folder / "checkpoints" / "last.ckpt"
    module = CoordinateNetworkModule(NETWORKS[kind](), learning_rate=3e-2)
    trainer.fit(module, datamodule=data, ckpt_path=str(last) if go_on and last.is_file() else None)
    return (folder / "chelsea.quinr").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of fits that nothing disturbed."""
    return {kind: fit(tmp_path_factory.mktemp("whole"), kind) for kind in NETWORKS}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(
    ("hook", "step"),
    [
        ("on_after_backward", 5),
        ("on_before_optimizer_step", 8),
        ("on_train_batch_start", 7),
        ("on_validation_epoch_end", 8),
        ("on_validation_batch_start", 4),
        ("on_fit_end", 12),
    ],
)
def test_an_interrupted_fit_goes_on_to_the_same_file(tmp_path, whole, kind, hook, step, capfd):
    with pytest.raises(SystemExit):
        fit(tmp_path, kind, Signal(hook, step))
    assert fit(tmp_path, kind, go_on=True) == whole[kind]


@pytest.mark.parametrize("number", range(1, 13, 2))
def test_a_fit_killed_between_two_writes_goes_on_to_the_same_file(tmp_path, whole, monkeypatch, number):
    written = []

    def replace(self, target):
        written.append(target)
        if len(written) == number:
            raise Killed
        os.replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        try:
            fit(tmp_path, "weights")
        except Killed:
            assert len(written) == number
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} <= {"best.ckpt", "last.ckpt"}
    assert fit(tmp_path, "weights", go_on=True) == whole["weights"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    """Only the first checkpoints fit the disk, whatever folder holds temporary files."""
    sizes = []

    def write_bytes(self, data):
        if self.suffix == ".ckpt":
            sizes.append(len(data))
            if len(sizes) > 2:
                with self.open("wb") as file:
                    file.write(bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(QuinrError, match=r"\.ckpt: cannot write \(No space left on device\); free space"):
        fit(tmp_path, "weights")
    folder = tmp_path / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"best.ckpt", "last.ckpt"}
    kept = torch.load(folder / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 4


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no second file system")
def test_temporary_files_lie_beside_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/dev/shm/no-such-folder")
    monkeypatch.setattr("tempfile.tempdir", "/dev/shm/no-such-folder")
    fit(tmp_path, "weights")
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_plugins_of_the_user_keep_their_say(tmp_path):
    class Own(TorchCheckpointIO):
        """Saves somewhere else."""

    for plugin, expected in ((None, AtomicCheckpointIO), (Own(), Own)):
        trainer = pl.Trainer(accelerator="cpu", logger=False, plugins=plugin)
        write_checkpoints_atomically(trainer)
        assert type(trainer.strategy.checkpoint_io) is expected
    trainer = pl.Trainer(accelerator="cpu", logger=False, plugins=AsyncCheckpointIO())
    write_checkpoints_atomically(trainer)
    assert type(trainer.strategy.checkpoint_io.checkpoint_io) is AtomicCheckpointIO


def test_what_a_state_believes_of_the_best_is_compared_with_the_best(tmp_path):
    fit(tmp_path, "weights", steps=4)
    path = tmp_path / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    state["callbacks"]["PSNRCheckpoint"]["best_psnr"] = 99.0  # as of a fit in another folder
    torch.save(state, path)
    fit(tmp_path, "weights", go_on=True)
    assert torch.load(path.with_name("best.ckpt"), weights_only=True)["global_step"] > 4


@pytest.mark.parametrize("name", ["x" * 250, "missing/name"])
def test_a_file_that_cannot_be_written_is_found_before_the_fit(tmp_path, name):
    steps: list[int] = []

    class Steps(pl.Callback):
        def on_fit_start(self, trainer, pl_module):
            trainer.datamodule.name = name

        def on_train_batch_end(self, *arguments):
            steps.append(1)

    with pytest.raises(QuinrError, match=r"\.quinr: cannot write"):
        fit(tmp_path, "weights", Steps(), first=True)
    assert steps == []


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_checkpoint_ends_in_one_line(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "runs/tiny/version_0/checkpoints/last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"weights": torch.zeros(1000)}, path)
    if damage != "other":
        path.write_bytes(path.read_bytes()[: 1000 if damage == "cut" else 0])
    assert main(["fit", "--config", TINY, "--ckpt_path", "last"]) == 2
    error = capsys.readouterr().err
    assert "last.ckpt: not a readable checkpoint" in error
    assert error.count("\n") == 1
