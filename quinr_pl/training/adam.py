"""AdamW of torch, whose steps a graph can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.AdamW):
    """All parameters by one fused operation.

    Args:
        params: Parameters, or groups of them.
        betas: Decay rates of the moment estimates.
    """

    def __init__(self, params: Iterable[Any], betas: tuple[float, float]) -> None:
        super().__init__(params, betas=betas, fused=True)

    def steps_taken(self) -> int:
        """Not asked for: the state counts them on the device."""
        return 0

    def count_step(self) -> None:
        """The state counts them."""

    @staticmethod
    def coefficients(group: Mapping[str, Any], rate: float, step: int) -> tuple[float]:
        """The learning rate alone."""
        return (rate,)

    @staticmethod
    def kind(step: int) -> None:
        """All steps are alike."""

    @staticmethod
    def layout() -> None:
        """The state of a parameter stays where it is."""

    def advance(self, coefficients: Tensor, step: int) -> None:
        """Moves the parameters by learning rates that lie on their device, (groups, 1)."""
        rates = [group["lr"] for group in self.param_groups]
        try:
            for group, rate in zip(self.param_groups, coefficients.unbind(), strict=True):
                group["lr"], group["capturable"] = rate[0], True
            super().step()
        finally:
            for group, known in zip(self.param_groups, rates, strict=True):
                group["lr"], group["capturable"] = known, False
