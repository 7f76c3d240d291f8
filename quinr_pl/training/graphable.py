"""Whether the steps of a trainer may be replayed from a graph: Python then sees no gradient."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.precision import Precision
from torch import nn

from quinr_pl.network import Network

_GRADIENT_HOOKS = (
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
)


def reason_against_graphs(trainer: pl.Trainer, module: pl.LightningModule, network: Network) -> str:
    """Why the steps of a fit are taken one operation after the other; empty if they need not.

    Args:
        trainer: With its callbacks. One that overrides a hook between forward pass and optimizer counts as
            one that needs gradients, unless its ``reads_gradients`` is false.
        module: Likewise.
        network: What it fits.
    """
    if trainer.strategy.root_device.type != "cuda":
        return "graphs are for CUDA"
    if trainer.world_size > 1:
        return "several processes share the gradients"
    if trainer.accumulate_grad_batches != 1 or trainer.gradient_clip_val:
        return "gradients are accumulated or clipped"
    if type(trainer.precision_plugin) is not Precision:
        return f"precision is {trainer.precision}"
    if trainer._detect_anomaly:
        return "anomalies are looked for"
    if not math.isfinite(trainer.estimated_stepping_batches):
        return "the number of steps is not known"
    if network.stage(0.0) is None:
        return "no two steps do the same"
    if len(trainer.optimizers) != 1 or len(trainer.lr_scheduler_configs) != 1:
        return "optimizers or schedules are others"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if _reads_gradients(callback, Callback):
            return f"{type(callback).__name__} may read gradients"
    if _reads_gradients(module, pl.LightningModule):
        return f"{type(module).__name__} may read gradients"
    if any(_has_hooks(part) for part in module.modules()):
        return "a module of the network has hooks"
    return ""


def _reads_gradients(owner: Any, base: type) -> bool:
    overrides = any(getattr(type(owner), hook) is not getattr(base, hook) for hook in _GRADIENT_HOOKS)
    return bool(getattr(owner, "reads_gradients", overrides))


def _has_hooks(module: nn.Module) -> bool:
    return any(
        (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    )
