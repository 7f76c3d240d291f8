"""What every network that maps coordinates to values offers to the trainer and to the codec."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class CoordinateNetwork(nn.Module, ABC):
    """Maps coordinates in [-1, 1] to values in [0, 1], one row for each coordinate.

    Attributes:
        in_features: Size of a coordinate.
        out_features: Size of a value.
    """

    in_features: int
    out_features: int

    @abstractmethod
    def forward(self, coordinates: Tensor) -> Tensor:
        """Values of coordinates: (batch, in_features) -> (batch, out_features), not clamped."""

    @abstractmethod
    def architecture(self) -> dict[str, int | float | bool | str]:
        """The constructor's arguments that determine the function: what a file must hold besides weights.

        ``type(network)(**network.architecture())`` has the same parameters, by name and shape, and with
        equal weights computes the same values. Where and how it runs (the engine) is no part of it.
        """

    def parameter_periods(self) -> dict[str, Tensor]:
        """Periods of the periodic parameters: name -> positive tensor that broadcasts to the parameter.

        Adding a multiple of the period to an element leaves the function unchanged.
        """
        return {}

    def parameters_by_depth(self) -> list[list[str]]:
        """Names of the parameters of each layer, in the order in which a coordinate meets the layers."""
        layers: dict[str, list[str]] = {}
        for name, _ in self.named_parameters():
            layers.setdefault(name.rpartition(".")[0], []).append(name)
        return list(layers.values())

    @abstractmethod
    def feature_weights(self) -> list[nn.Parameter]:
        """Weights of linear maps of hidden features: what weight decay is for.

        Left out are those of coordinates, which are frequencies, and all that is periodic.
        """

    def calibrate(self, coordinates: Tensor) -> None:
        """Data-dependent initialisation, called once before training.

        Args:
            coordinates: A sample of the signal's, (sample, in_features).
        """

    def parameter_count(self) -> int:
        """Number of weights that a file holds."""
        return sum(p.numel() for p in self.parameters())

    @torch.no_grad()
    def evaluate(self, coordinates: Tensor, block: int = 65536) -> Tensor:
        """Values of many coordinates in blocks, without gradients: bounded memory whatever their number."""
        return torch.cat([self(part) for part in coordinates.split(block)])
