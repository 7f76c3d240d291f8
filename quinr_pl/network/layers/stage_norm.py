"""What a stage hands to the next one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DEVIATION = 0.7  # of a sine's values, for which the next embedding's initialisation is made


class StageNorm(nn.Module):
    """Probabilities p or expectations z of one stage as the features of the next.

    Args:
        kind: "none": p or z; "centred": 2**n p - 1, or z; "standardized": p or z with mean 0 and deviation 1
            over the states or qubits; "scaled": g times what is centred, with one gain g for each stage.
        stages: Number of stages.
        expectations: Whether they are expectations.

    Attributes:
        gains: (stages - 1,), for "scaled" only. Set once, by ``calibrate``: learning them trains worse.
    """

    gains: Tensor

    def __init__(self, kind: str, stages: int, expectations: bool) -> None:
        super().__init__()
        self.kind = kind
        self.expectations = expectations
        gains = torch.ones(stages - 1) if kind == "scaled" and stages > 1 else None
        self.register_parameter("gains", None if gains is None else nn.Parameter(gains, requires_grad=False))

    def forward(self, measured: Tensor, stage: int) -> Tensor:
        """(batch, states or qubits) after a stage -> the same shape."""
        if self.kind == "none":
            return measured
        if self.kind == "standardized":
            return nn.functional.layer_norm(measured, measured.shape[1:])
        centred = measured if self.expectations else measured * measured.shape[1] - 1
        return self.gains[stage] * centred if self.kind == "scaled" else centred

    @torch.no_grad()
    def calibrate(self, measured: Tensor, stage: int) -> None:
        """Sets the gain of a stage so that its features have the deviation of a sine's values."""
        if self.kind == "scaled":
            self.gains[stage] = 1.0
            self.gains[stage] = _DEVIATION / self(measured, stage).std().clamp_min(1e-6)
