"""What Lightning's loop does around hooks, where somebody asks for it."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
from pytorch_lightning.profilers import PassThroughProfiler, SimpleProfiler

from quinr_pl.datamodules import SampleDataModule
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import QuINR


class Seen(pl.Callback):
    """Keeps the hook that Lightning believes to be in, during one of each kind."""

    def __init__(self) -> None:
        self.hooks: list[str | None] = []

    def on_train_batch_start(self, trainer, pl_module, *_):
        self.hooks.append(pl_module._current_fx_name)

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.hooks.append(pl_module._current_fx_name)
        pl_module.log("seen", 1.0)  # refused outside of hooks that may log


@pytest.mark.parametrize("profiler", [None, SimpleProfiler()], ids=["no profiler", "a profiler"])
def test_hooks_are_named_and_timed_where_asked_to(profiler, tmp_path):
    fit = CoordinateNetworkModule(QuINR(qubits=2, angles=2, uploads=1, layers=1))
    seen = Seen()
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_steps=2,
        callbacks=[seen],
        profiler=profiler,
    )
    trainer.fit(fit, SampleDataModule(longer_side=8, batch_size=16, steps_per_epoch=2))
    assert seen.hooks == ["on_train_batch_start", "on_train_batch_end"] * 2
    assert fit._current_fx_name is None
    assert trainer.callback_metrics["seen"] == 1
    if profiler is None:
        assert isinstance(trainer.profiler, PassThroughProfiler)
    else:
        durations = profiler.recorded_durations
        assert len(durations["[LightningModule]CoordinateNetworkModule.on_train_batch_start"]) == 2
