"""Adam for large parameters of which each step looks at a part."""

from __future__ import annotations

import math
from typing import Any

import torch

from quinr_pl.network.base import Network, PartialGradient


class LazyAdam:
    """Moves the parts of parameters that a step has looked at; moments elsewhere stand still.

    It works after each step of an optimizer, which leaves these parameters alone as they have no gradient of
    their own, with that optimizer's settings and in its state. The rule is that of Adam (Kingma & Ba 2015)
    where the parts of successive steps cover a parameter evenly: moments are corrected by the mean number of
    times that an element has been seen.

    Args:
        network: Says which parts; see `Network.partial_gradients`.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    @torch.no_grad()
    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Make a step of what the network hands out; a hook of ``register_step_post_hook``."""
        found = self._network.partial_gradients()
        if not found:
            return
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        for partial in found:
            _step(partial, groups[id(partial.parameter)], optimizer.state[partial.parameter])


def _step(partial: PartialGradient, group: dict[str, Any], state: dict[str, Any]) -> None:
    parameter, window, gradient = partial.parameter, partial.window, partial.gradient
    if not state:
        moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
        state.update(moments, step=torch.tensor(1.0), seen=0)
    times = float(state["step"])
    first, second = group["betas"]
    mean, square = window.of(state["exp_avg"]), window.of(state["exp_avg_sq"])
    mean.lerp_(gradient, 1 - first)
    square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
    spread = square.sqrt().div_(math.sqrt(1 - second**times)).add_(group["eps"])
    window.of(parameter).addcdiv_(mean, spread, value=-group["lr"] / (1 - first**times))
    passes, state["seen"] = divmod(state["seen"] + window.size, parameter.numel())
    state["step"] += passes
