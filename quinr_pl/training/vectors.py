"""Adam's part of SOAP: parameters whose elements move each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from quinr_pl.ops.adam import adam_step


class Vectors:
    """Vectors, and arrays that are no linear maps, of one group of parameters.

    Args:
        parameters: With their gradients.
        state: Of the optimizer, by parameter: ``exp_avg`` and ``exp_avg_sq``, which are made where absent.
        group: Index of the group.
        betas: Decay rates of the moment estimates.
        eps: What keeps the division by the second moment's root finite.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        state: Mapping[Tensor, dict[str, Any]],
        group: int,
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        self.group = group
        self._parameters: list[Tensor] = list(parameters)
        self._betas, self._eps = betas, eps
        for parameter in parameters:
            for name in ("exp_avg", "exp_avg_sq"):
                state[parameter].setdefault(name, torch.zeros_like(parameter))
            state[parameter]["GG"] = state[parameter]["Q"] = [[] for _ in parameter.shape]
        self._first = [state[parameter]["exp_avg"] for parameter in parameters]
        self._second = [state[parameter]["exp_avg_sq"] for parameter in parameters]

    def step(self, size: Tensor) -> None:
        """Moves the parameters.

        Args:
            size: What the update is multiplied by, 0-dimensional.
        """
        gradients = gradients_of(self._parameters)
        moments = self._first, self._second
        adam_step(self._parameters, gradients, *moments, size, self._betas, self._eps)


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of parameters that have them."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
