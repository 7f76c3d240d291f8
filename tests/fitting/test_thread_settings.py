"""Who gets how many threads, and that files do not tell."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any, ClassVar

import pytest
import torch
import yaml
from pytorch_lightning.callbacks import Callback

from quinr_pl.commands.main import main
from quinr_pl.native.cpu_quota import cpu_quota
from quinr_pl.native.threads import in_parallel, native_threads, thread_count

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Three of torch, whatever this machine has, as ``OMP_NUM_THREADS=3`` makes it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_outside_of_commands_native_code_follows_torch():
    assert (torch.get_num_threads(), thread_count()) == (3, 3)
    torch.set_num_threads(2)
    assert thread_count() == 2


def test_native_code_takes_the_threads_of_torch_for_a_while():
    with native_threads():
        assert (torch.get_num_threads(), thread_count()) == (1, 3)
        with native_threads():
            assert (torch.get_num_threads(), thread_count()) == (1, 3)
        assert (torch.get_num_threads(), thread_count()) == (1, 3)
    assert (torch.get_num_threads(), thread_count()) == (3, 3)


def test_an_error_gives_them_back():
    with pytest.raises(RuntimeError, match="stop"), native_threads():
        raise RuntimeError("stop")
    assert (torch.get_num_threads(), thread_count()) == (3, 3)


def test_one_thread_stays_one():
    torch.set_num_threads(1)
    with native_threads():
        assert (torch.get_num_threads(), thread_count()) == (1, 1)


@pytest.mark.parametrize(("asked", "found"), [(None, 2), ("3", 3)])
def test_a_quota_limits_what_nobody_asked_for(asked, found, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr("quinr_pl.native.threads.cpu_quota", lambda: 2)
    with native_threads():
        assert thread_count() == found


def test_items_are_dealt_to_the_threads_of_native_code():
    together, seen = Barrier(3, timeout=30), set()

    def work(items):
        for _ in items:
            together.wait()  # passes when three threads are here at once
            seen.add(get_ident())

    with native_threads():
        in_parallel(work, 3, most_threads=8)
    assert len(seen) == 3


class Watch(Callback):
    """Keeps the threads of each stage of a fit, and what it comes to."""

    seen: ClassVar[dict[str, Any]] = {}

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.seen["step"] = (torch.get_num_threads(), thread_count())
        self.seen["weights"] = [value.detach().clone() for value in pl_module.parameters()]

    def on_fit_end(self, *_):
        self.seen["end"] = (torch.get_num_threads(), thread_count())


LARGE = ["--data.longer_side", "256", "--model.network.coarse_steps", "[]"]
# Sums over so many pixels are what torch shares out.
STEPWISE = {"method": "stepwise", "points": 200, "retraining_steps": 3}


@pytest.mark.parametrize(
    ("config", "rounding", "flags"),
    [
        ("tiny", {"method": "compensated", "points": 200}, []),
        pytest.param("tiny", STEPWISE, [], marks=pytest.mark.slow),
        pytest.param("tiny_latent", {"method": "nearest"}, LARGE, marks=pytest.mark.slow),
    ],
    ids=["compensated", "stepwise", "latents"],
)
def test_torch_has_one_thread_in_a_fit_and_the_file_does_not_tell_how_many_there_were(
    config, rounding, flags, tmp_path, monkeypatch, wake_all_threads
):
    monkeypatch.chdir(tmp_path)
    names = (
        "quinr_pl.callbacks.PSNRCheckpoint",
        "quinr_pl.callbacks.ReconstructionWriter",
        f"{__name__}.Watch",
    )
    callbacks = [{"class_path": name} for name in names]
    quantizer = {"class_path": "quinr_pl.callbacks.WeightQuantization", "init_args": {"final": rounding}}
    Path("callbacks.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": [quantizer, *callbacks]}}))
    configs = ["--config", str(CONF / f"{config}.yaml"), "--config", "callbacks.yaml"]
    files, weights = [], []
    for count in (1, 2, 5):
        Watch.seen.clear()
        torch.set_num_threads(count)
        assert main(["fit", *configs, *flags, "--trainer.max_steps", "4"]) == 0
        assert Watch.seen["step"] == Watch.seen["end"] == (1, count)
        assert (torch.get_num_threads(), thread_count()) == (count, count)
        files.append(next(Path("runs").glob(f"*/version_{len(files)}/*.quinr")).read_bytes())
        weights.append(Watch.seen["weights"])
    assert files[0] == files[1] == files[2]
    for others in weights[1:]:
        assert all(torch.equal(a, b) for a, b in zip(weights[0], others, strict=True))


def _write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "groups", "found"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 2),
        ({"cpu.max": "50000 100000\n"}, "0::/\n", 1),
        ({"cpu.max": "max 100000\n"}, "0::/\n", sys.maxsize),
        ({"job/cpu.max": "max 100000\n", "cpu.max": "300000 100000\n"}, "0::/job\n", 3),
        ({"cpu.max": "400000 100000\n"}, "0::/of/the/host\n", 4),  # the root of a container
        ({"other/cpu.max": "100000 100000\n"}, "0::/job\n", sys.maxsize),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, "2:cpu,cpuacct:/\n", 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "2:cpu:/\n", sys.maxsize),
        ({}, "3:memory:/\n0::/\n", sys.maxsize),
    ],
)
def test_the_quota_is_that_of_the_control_groups(files, groups, found, tmp_path):
    for name, text in files.items():
        _write(tmp_path / "mount", name, text)
    _write(tmp_path, "cgroup", groups)
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "mount") == found


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert cpu_quota(tmp_path / "none", tmp_path) == sys.maxsize
