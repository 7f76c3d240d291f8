"""What a stage hands to the next one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DEVIATION = 0.7  # of a sine's values, for which the next embedding's initialisation is made


class StageNorm(nn.Module):
    """Probabilities p of one stage as the features of the next.

    Args:
        kind: "none": p; "centred": 2**n p - 1; "standardized": p with mean 0 and deviation 1 over the
            states; "scaled": g (2**n p - 1) with one gain g for each stage.
        stages: Number of stages.

    Attributes:
        gains: (stages - 1,), for "scaled" only. Set once, by ``calibrate``: learning them trains worse.
    """

    gains: Tensor

    def __init__(self, kind: str, stages: int) -> None:
        super().__init__()
        self.kind = kind
        gains = torch.ones(stages - 1) if kind == "scaled" and stages > 1 else None
        self.register_parameter("gains", None if gains is None else nn.Parameter(gains, requires_grad=False))

    def forward(self, probabilities: Tensor, stage: int) -> Tensor:
        """(batch, states) after a stage -> (batch, states)."""
        if self.kind == "centred":
            return probabilities * probabilities.shape[1] - 1
        if self.kind == "scaled":
            return self.gains[stage] * (probabilities * probabilities.shape[1] - 1)
        if self.kind == "standardized":
            return nn.functional.layer_norm(probabilities, probabilities.shape[1:])
        return probabilities

    @torch.no_grad()
    def calibrate(self, probabilities: Tensor, stage: int) -> None:
        """Sets the gain of a stage so that its features have the deviation of a sine's values."""
        if self.kind == "scaled":
            self.gains[stage] = 1.0
            self.gains[stage] = _DEVIATION / self(probabilities, stage).std().clamp_min(1e-6)
