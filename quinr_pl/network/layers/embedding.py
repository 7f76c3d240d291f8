"""The classical layer in front of the circuit: coordinates become embedding angles."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from quinr_pl.ops.sines import sines


def sine_layers(
    in_features: int, layers: int, width: int, omega0: float, coordinate_scale: float = 1.0
) -> nn.ModuleList:
    """Layers of ``width`` sines each, the first of them of coordinates."""
    sizes = [in_features] + [width] * (layers - 1)
    return nn.ModuleList(
        SinusoidalEmbedding(size, width, omega0, coordinate_scale=None if index else coordinate_scale)
        for index, size in enumerate(sizes[:layers])
    )


class SinusoidalEmbedding(nn.Module):
    """Angles ``scale * sin(omega0 * (W x + b))`` of coordinates or features x.

    After Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions" (2020),
    whose initialisation it takes: uniform in 1/in_features for coordinates, in
    sqrt(6 / in_features) / omega0 for features of an earlier layer.

    Args:
        in_features: Size of x.
        out_features: Number of angles.
        omega0: Frequency that multiplies the linear layer.
        scale: Largest angle, in radians.
        coordinate_scale: Of a coordinate x, how far its weights reach at the start in units of that
            initialisation: a signal of many periods needs frequencies beyond omega0. None for features.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        omega0: float,
        scale: float = 1.0,
        coordinate_scale: float | None = 1.0,
    ) -> None:
        super().__init__()
        self.omega0 = omega0
        self.scale = scale
        if coordinate_scale is None:
            bound = math.sqrt(6 / in_features) / omega0
        else:
            bound = coordinate_scale / in_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        bias_bound = 1 / math.sqrt(in_features)
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bias_bound, bias_bound))

    @property
    def bias_period(self) -> float:
        """A shift of a bias by this much leaves its angle as it was."""
        return 2 * math.pi / self.omega0

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features), in [-scale, scale]."""
        return sines(inputs, self.weight, self.bias, self.omega0, self.scale)

    def gradients_by_sample(self, inputs: Tensor, cotangents: Tensor) -> dict[str, Tensor]:
        """Gradients of each sample's own scalar, where backpropagation would sum them over the batch.

        Args:
            inputs: What the layer saw, (batch, in_features).
            cotangents: Gradients of each sample's scalar in its angles, (batch, out_features).

        Returns:
            By parameter: "weight" (batch, out_features, in_features) and "bias" (batch, out_features).
        """
        phase = nn.functional.linear(inputs, self.omega0 * self.weight, self.omega0 * self.bias)
        bias = cotangents * (self.scale * self.omega0 * torch.cos(phase))
        return {"weight": bias[:, :, None] * inputs[:, None, :], "bias": bias}
