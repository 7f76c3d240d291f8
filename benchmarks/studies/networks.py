"""Small classical networks that studies compare with: Fourier features and ReLU, WIRE and FINER.

Each is a first layer of the coordinates, further layers of the same width and a linear map. They go through
fits and files as networks of other packages do.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from quinr_pl.fields import Field, Integer, Real
from quinr_pl.network import NETWORKS, CoordinateNetwork
from quinr_pl.network.cost import LAYER, SINE, NetworkCost
from quinr_pl.signals import MOST_AXES


class ClassicalNetwork(CoordinateNetwork):
    """Layers of one width.

    Args:
        in_features: Size of a coordinate.
        out_features: Size of a value.
        layers: Number of layers before the linear map.
        width: Units of each.
        omega0: Frequency scale, with the meaning of the class.
    """

    FIELDS: ClassVar[Mapping[str, Field]] = {
        "layers": Integer(1, 64),
        "width": Integer(1, 2048),
        "omega0": Real(30.0),
        "in_features": Integer(1, MOST_AXES, 2),
    }
    parts: ClassVar[int] = 1
    """Real numbers that a weight of a hidden layer consists of."""

    def __init__(
        self,
        in_features: int = 2,
        out_features: int = 3,
        layers: int = 3,
        width: int = 20,
        omega0: float = 30.0,
    ) -> None:
        super().__init__(
            in_features=in_features, out_features=out_features, layers=layers, width=width, omega0=omega0
        )
        self.omega0 = omega0
        self.width = width
        self.first = nn.Linear(in_features, self.first_units(width))
        self.hidden = nn.ModuleList(self.hidden_layer(width) for _ in range(layers - 1))
        self.output = nn.Linear(width * self.parts, out_features)
        self.initialize()

    @classmethod
    def first_units(cls, width: int) -> int:
        """Linear maps of the coordinates that the first layer takes for its units."""
        return width

    @classmethod
    def hidden_layer(cls, width: int) -> nn.Module:
        """A linear layer between two layers of units."""
        return nn.Linear(width, width)

    @abstractmethod
    def initialize(self) -> None:
        """Draws the weights."""

    def draw_as_siren(self) -> None:
        """Draws them as Sitzmann et al. (2020) do, all but those of the output."""
        bound = 1 / self.in_features
        nn.init.uniform_(self.first.weight, -bound, bound)
        for layer in self.hidden:
            bound = math.sqrt(6 / self.width) / self.omega0
            for weight in layer.parameters():
                if weight.ndim > 1:
                    nn.init.uniform_(weight, -bound, bound)

    def feature_weights(self) -> list[nn.Parameter]:
        """Of all layers but the first."""
        hidden = [p for layer in self.hidden for p in layer.parameters() if p.ndim > 1]
        return [*hidden, self.output.weight]

    @classmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        """What decoding takes."""
        layers, width, inputs, outputs = (
            architecture[name] for name in ("layers", "width", "in_features", "out_features")
        )
        parameters = cls.first_units(width) * (inputs + 1) + outputs * (width * cls.parts + 1)
        parameters += (layers - 1) * cls.parts * width * (width + 1)
        work = parameters * cls.parts + layers * (LAYER + SINE * width * cls.parts)
        return NetworkCost(parameters, 2 * cls.parts * layers + 2, work, 8 * width + 8 * outputs + 8)


class FourierReLU(ClassicalNetwork):
    """ReLU layers on sines and cosines of the coordinates.

    Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains"
    (2020); here frequencies are trained, so that a file holds them as it holds SIREN's. They start normal
    with a standard deviation of omega0 radians a unit.
    """

    CODE = 240

    @classmethod
    def first_units(cls, width: int) -> int:
        """Half of the features are sines, half cosines."""
        return -(-width // 2)

    def initialize(self) -> None:
        """Frequencies normal, ReLU layers as He et al. (2015) do."""
        nn.init.normal_(self.first.weight)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="relu")

    def forward(self, coordinates: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        phase = self.omega0 * self.first(coordinates)
        features = torch.cat([phase.sin(), phase.cos()], 1)[:, : self.width]
        for layer in self.hidden:
            features = layer(features).relu()
        values: Tensor = self.output(features)
        return values


class FINER(ClassicalNetwork):
    """Sines of a frequency that grows with their argument: sin(omega0 (|z| + 1) z).

    Liu et al., "FINER: Flexible spectral-bias tuning in implicit neural representation by variable-periodic
    activation functions" (2024). Biases of the first layer start uniform in plus or minus 1.
    """

    CODE = 241

    def initialize(self) -> None:
        """As SIREN, with wide biases in the first layer."""
        self.draw_as_siren()
        nn.init.uniform_(self.first.bias, -1, 1)

    def forward(self, coordinates: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        features = coordinates
        for layer in (self.first, *self.hidden):
            z = layer(features)
            features = torch.sin(self.omega0 * (z.detach().abs() + 1) * z)
        values: Tensor = self.output(features)
        return values


class WIRE(ClassicalNetwork):
    """Complex Gabor wavelets exp(i omega0 z - (s0 |z|)²), of which the output takes the real part.

    Saragadam et al., "WIRE: Wavelet Implicit Neural Representations" (2023). A complex weight is two real
    ones of a file. s0 is half of omega0.
    """

    CODE = 242
    parts = 2

    @classmethod
    def hidden_layer(cls, width: int) -> nn.Module:
        """A complex linear layer."""
        return _Complex(width)

    def initialize(self) -> None:
        """As SIREN."""
        self.draw_as_siren()

    def forward(self, coordinates: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        features = self._wavelets(self.first(coordinates), None)
        for layer in self.hidden:
            features = self._wavelets(*layer(features).chunk(2, 1))
        values: Tensor = self.output(features)
        return values

    def _wavelets(self, real: Tensor, imaginary: Tensor | None) -> Tensor:
        """Real parts, then imaginary ones."""
        exponent = -((self.omega0 / 2) ** 2) * real.square()
        if imaginary is not None:
            exponent = exponent - ((self.omega0 / 2) ** 2) * imaginary.square() - self.omega0 * imaginary
        size, phase = exponent.exp(), self.omega0 * real
        return torch.cat([size * phase.cos(), size * phase.sin()], 1)


class _Complex(nn.Module):
    """A complex linear layer of as many outputs as inputs; real parts come first, then imaginary ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.real, self.imaginary = (nn.Parameter(torch.empty(width, width)) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(2 * width))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, 2 * width) -> (batch, 2 * width)."""
        matrix = torch.cat(
            [torch.cat([self.real, -self.imaginary], 1), torch.cat([self.imaginary, self.real], 1)]
        )
        return nn.functional.linear(features, matrix, self.bias)


for network in (FourierReLU, FINER, WIRE):
    NETWORKS.register(network.CODE, network)
