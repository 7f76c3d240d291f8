"""Small fits that tests share, and how to ask for one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from quinr_pl.commands.main import main
from quinr_pl.network import LatentQuINR, Network

_CONF = Path(__file__).parent / "conf"
TINY = str(_CONF / "tiny.yaml")
QUICK = ["--config", str(_CONF / "quick_callbacks.yaml")]
QUICK_TINY = ["--config", TINY, *QUICK]


def fitted(folder: Path, *flags: str) -> Path:
    """A folder in which `quinr-pl fit` has run."""
    with contextlib.chdir(folder):
        assert main(["fit", *flags]) == 0
    return folder


def quiet_trainer(folder: Path, callbacks: list[pl.Callback], steps: int, **arguments: Any) -> pl.Trainer:
    """A trainer on the CPU that leaves what its callbacks write, and no logs."""
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_steps=steps,
        callbacks=callbacks,
        **arguments,
    )


def small_latents(height: int, width: int, grids: int, **others: Any) -> LatentQuINR:
    """A latent network whose steps take milliseconds, its weights drawn from the seed of torch."""
    small = {"qubits": 2, "angles": 4, "uploads": 1, "filters": 1, "neighbours": 4, "context_width": 4}
    return LatentQuINR(height=height, width=width, finest=0, grids=grids, **{**small, **others})


def train(network: Network, coordinates: torch.Tensor, targets: torch.Tensor, steps: int) -> None:
    """Plain steps of Adam on all of a signal."""
    groups = [
        {"params": list(network.integers().values()), "lr": 0.1},
        {"params": list(network.weights().values()), "lr": 1e-2},
    ]
    optimizer = torch.optim.Adam(groups)
    for step in range(steps):
        loss, _ = network.loss(coordinates, targets, step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
