"""Lets a fit begin with the best of several draws of its first weights."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.codec import Progress
from quinr_pl.fields import require_at_least
from quinr_pl.network import Network

_MOST_OF_A_FIT = 0.25
_JUDGED = 3  # the last of so many parts of the steps, whose mean loss counts


class BestStart(Callback):
    """Trains several draws of the first weights for a few steps, and begins with the best one as drawn.

    A fit ends in the basin that it begins in, and how good that one is shows early; docs/research/starts.md
    has the figures. A fit that goes on, and one that begins with another frame's weights, is left as it is.

    Args:
        starts: Number of draws.
        steps: Number of steps that each one is trained for, the first ones of the schedule; of a short fit
            fewer, so that all of them together are at most a quarter of its steps.

    Attributes:
        listeners: Told of each draw.

    Raises:
        QuinrError: If a number is below 1.
    """

    def __init__(self, starts: int = 8, steps: int = 40) -> None:
        require_at_least(1, {"--trainer.callbacks.starts": starts, "--trainer.callbacks.steps": steps})
        self.starts, self.steps = starts, steps
        self.listeners: list[Progress] = []

    def steps_of_each(self, total: float) -> int:
        """Number of steps that each draw takes before a fit of so many steps; 0 for a single draw."""
        if self.starts == 1:
            return 0
        return max(1, int(min(self.steps, _MOST_OF_A_FIT * total / self.starts)))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds the best draw, and gives it to the network."""
        module: Any = pl_module
        follows = trainer.datamodule.spec.reference is not None  # type: ignore[attr-defined]
        steps = self.steps_of_each(trainer.estimated_stepping_batches)
        if trainer.ckpt_path is not None or follows or not steps:
            return
        network, lowest = fitted_network(pl_module), math.inf
        best, state = _weights(network), network.training_state()
        with isolate_rng():
            for number in range(self.starts):
                for listener in self.listeners:
                    listener("choosing a start", number, self.starts)
                if number:
                    network.load_state_dict(network.drawn_anew().state_dict())
                    module.calibrate()
                drawn = _weights(network)
                loss = self._loss_after(steps, trainer, module)
                network.load_training_state(state)
                if loss < lowest:
                    best, lowest = drawn, loss
        network.load_state_dict(best)

    def _loss_after(self, steps: int, trainer: pl.Trainer, module: Any) -> float:
        """Mean loss of the last steps, as a fit would take them."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        network, optimizer = fitted_network(module), module.make_optimizer()
        losses: list[Tensor] = []
        rates, total = [group["lr"] for group in optimizer.param_groups], trainer.estimated_stepping_batches
        for step in range(steps):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * module.learning_rate_factor(step, total)
            progress = module.begin_step(optimizer, step, total)
            loss, _ = network.loss(*_batch(data, module), progress)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return fmean(map(float, losses[-max(1, steps // _JUDGED) :]))


def _weights(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _batch(data: Any, module: pl.LightningModule) -> tuple[Tensor, Tensor]:
    """Coordinates and targets of one step."""
    coordinates, targets = data.coordinates, data.targets
    if data.batch_size is not None:
        chosen = torch.randint(len(coordinates), (data.batch_size,))
        coordinates, targets = coordinates[chosen], targets[chosen]
    return coordinates.to(module.device), targets.to(module.device)
