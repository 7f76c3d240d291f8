"""COIN: a plain SIREN, the classical coordinate network to compare with."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from quinr_pl.network.base import CoordinateNetwork, from_log_scale
from quinr_pl.network.decoders.coin import COINFormat
from quinr_pl.network.layers.embedding import sine_layers
from quinr_pl.network.layers.plain_modules import is_plain


class COIN(COINFormat, CoordinateNetwork):
    """SIREN layers, then a linear one.

    After Dupont et al., "COIN: Compression with Implicit Neural representations" (2021).

    Args:
        in_features: Size of a coordinate.
        out_features: Size of a value.
        layers: Number of SIREN layers.
        width: Units of each SIREN layer.
        omega0: Frequency of every SIREN layer.
        coordinate_scale: How far weights of coordinates reach at the start; see SinusoidalEmbedding.
        log_range: Nats of the logarithmic scale that the output gives values on; see from_log_scale.

    Raises:
        QuinrError: If an argument is out of range.
    """

    def __init__(
        self,
        in_features: int = 2,
        out_features: int = 3,
        layers: int = 5,
        width: int = 20,
        omega0: float = 30.0,
        log_range: int = 0,
        coordinate_scale: float = 1.0,
    ) -> None:
        super().__init__(
            in_features=in_features,
            out_features=out_features,
            layers=layers,
            width=width,
            omega0=omega0,
            log_range=log_range,
        )
        self.log_range = log_range
        self.hidden = sine_layers(in_features, layers, width, omega0, coordinate_scale)
        self.output = nn.Linear(width, out_features)
        bound = math.sqrt(6 / width) / omega0
        nn.init.uniform_(self.output.weight, -bound, bound)

    def forward(self, coordinates: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        features = coordinates
        for layer in self.hidden:
            features = layer(features)
        return from_log_scale(self._output(features), self.log_range)

    def _output(self, features: Tensor) -> Tensor:
        if self.out_features > 1 or not is_plain(self.output, nn.Linear):
            return self.output(features)
        # A product with a single column may depend on the number of threads (MKL), and a file must not.
        weight = nn.functional.pad(self.output.weight, (0, 0, 0, 1))
        bias = nn.functional.pad(self.output.bias, (0, 1))
        return nn.functional.linear(features, weight, bias)[:, :1]

    def feature_weights(self) -> list[nn.Parameter]:
        """Of all layers but the first."""
        return [layer.get_parameter("weight") for layer in [*self.hidden[1:], self.output]]

    def parameter_periods(self) -> dict[str, Tensor]:
        """A SIREN layer's bias is periodic."""
        return {
            f"hidden.{index}.bias": torch.tensor(layer.bias_period) for index, layer in enumerate(self.hidden)
        }
