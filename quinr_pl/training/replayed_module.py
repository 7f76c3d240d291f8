"""A LightningModule whose steps a GPU replays from graphs, where nothing needs to see gradients."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from quinr_pl.network import Network
from quinr_pl.training.graphable import reason_against_graphs
from quinr_pl.training.graphed_steps import CudaRecorder, GraphedSteps, Result, Schedule
from quinr_pl.training.light_module import LightModule

_LOG = logging.getLogger(__name__)


class ReplayedModule(LightModule):
    """Lets a GPU take the steps of a fit from graphs; what derives from it says what a step is.

    Args:
        network: The network that is fitted.
        graphs: Whether steps may be replayed.
    """

    def __init__(self, network: Network, graphs: bool) -> None:
        super().__init__()
        self.network = network
        self._graphs = graphs
        self._graphed: GraphedSteps | None = None
        self._replayed = False

    def learning_rate_factor(self, step: int, total: float) -> float:
        """Learning rate of a step in units of the peak, of so many steps in all."""
        raise NotImplementedError

    def work_done(self, step: int, total: float) -> float:
        """Share of the work done before a step, of so many steps in all."""
        raise NotImplementedError

    def on_train_start(self) -> None:
        """Prepares steps that a GPU replays, where nothing needs to see gradients."""
        super().on_train_start()
        reason = (
            reason_against_graphs(self.trainer, self, self.network)
            if self._graphs
            else "they are switched off"
        )
        self._graphed = None if reason else self._prepared_graphs()
        if not reason:  # in this fit alone: Lightning's own methods are the fewer frames in a traceback
            vars(self).update(self._hooks_of_replays())
        if reason and self.device.type == "cuda":
            rank_zero_info(f"Steps are not replayed from graphs: {reason}")

    def on_train_end(self) -> None:
        """Lets go of the graphs."""
        self._graphed = None
        for name in self._hooks_of_replays():
            vars(self).pop(name, None)

    def replayed_step(self, batch: tuple[Tensor, ...]) -> Result | None:
        """Loss and figures of a step that a GPU has taken as a whole; None where it has not."""
        self._replayed = False
        if self._graphed is None:
            return None
        try:
            if not self._graphed.fits(self.global_step):
                raise RuntimeError("the learning rates are not those of the schedule")
            result = self._graphed(batch, self.global_step)
        except Exception as error:  # whatever a recording meets, the step can be taken without one
            first_line = str(error).strip().partition("\n")[0] or type(error).__name__
            rank_zero_warn(f"Steps are not replayed from graphs: {first_line}")
            _LOG.debug("Steps are not replayed from graphs", exc_info=True)
            self._graphed = None
            return None
        self._replayed = True
        return result

    def _prepared_graphs(self) -> GraphedSteps:
        optimizer: Any = self.trainer.optimizers[0]
        optimizer._opt_called = (
            True  # schedulers warn where an optimizer's own `step` was not called before them
        )
        return GraphedSteps(self.network, optimizer, self._schedule(optimizer), CudaRecorder())

    def _schedule(self, optimizer: torch.optim.Optimizer) -> Schedule:
        """Learning rates and progress of all steps from the present one on."""
        first, total = self.global_step, self.trainer.estimated_stepping_batches
        steps = range(first, max(first, int(total)))
        factors = [self.learning_rate_factor(step, total) for step in steps]
        rates = [[group["initial_lr"] * factor for group in optimizer.param_groups] for factor in factors]
        return Schedule(first, rates, [self.work_done(step, total) for step in steps])

    def _hooks_of_replays(self) -> dict[str, Callable[..., None]]:
        """Methods of Lightning's whose work a replayed step has done."""
        return {
            "backward": self._backward_unless_replayed,
            "optimizer_zero_grad": self._zero_grad_unless_replayed,
            "optimizer_step": self._step_unless_replayed,
        }

    def _backward_unless_replayed(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if not self._replayed:
            super().backward(loss, *args, **kwargs)

    def _zero_grad_unless_replayed(
        self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer
    ) -> None:
        if not self._replayed:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def _step_unless_replayed(self, epoch: int, batch_idx: int, optimizer: Any, closure: Any) -> None:
        """Takes a step; where a GPU replays it, the hooks around it are called all the same."""
        stand_in: Any = _MovesUnlessReplayed(self, optimizer.optimizer)
        self.trainer.strategy.optimizer_step(stand_in, closure, self)


class _MovesUnlessReplayed:
    """An optimizer that leaves steps alone which were replayed.

    Args:
        module: Knows whether a step was.
        optimizer: Takes the others.
    """

    def __init__(self, module: ReplayedModule, optimizer: torch.optim.Optimizer) -> None:
        self._module, self._optimizer = module, optimizer

    def step(self, closure: Callable[[], Any]) -> Any:
        """Calls the closure, as every optimizer does."""
        loss = closure()
        if not self._module._replayed:
            self._optimizer.step()
        return loss
