"""Begins a fit with what another fit's file holds."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import rank_zero_info

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.codec import UNLIMITED, decode
from quinr_pl.codec.file.source import read_source


class InheritedWeights(Callback):
    """Lets a fit begin with the weights and latents of a file, of another network too.

    Tensors whose name and shape both networks have are taken; the others begin as without it.

    Args:
        path: The file, of one signal.

    Attributes:
        share: What was taken, as a share of the weights and latents of the network.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.share = 0.0

    @torch.no_grad()
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Copies the tensors, before a checkpoint is loaded.

        Raises:
            QuinrError: If the file cannot be read.
        """
        if stage != "fit":
            return
        data, name = read_source(self.path)
        values = decode(data, name, UNLIMITED).quantized.values()
        network = fitted_network(pl_module)
        own = {**network.weights(), **network.integers()}
        taken = [name for name in own if name in values and values[name].shape == own[name].shape]
        for name in taken:
            own[name].copy_(torch.from_numpy(values[name]))
        self.share = sum(own[name].numel() for name in taken) / sum(map(torch.numel, own.values()))
        rank_zero_info(
            f"Begins with {len(taken)} of {len(own)} tensors of {self.path}, {self.share:.0%} of the numbers"
        )
