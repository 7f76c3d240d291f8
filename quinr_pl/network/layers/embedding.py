"""The classical layer in front of the circuit: coordinates become what it embeds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from quinr_pl.errors import QuinrError
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


class Embedding(nn.Module):
    """What a circuit embeds of coordinates or features x, from linear functions W x + b.

    Weights start as in Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions"
    (2020): uniform in 1/in_features for coordinates, in sqrt(6 / in_features) / omega0 for features of an
    earlier layer.

    Args:
        in_features: Size of x.
        out_features: Number of angles or amplitudes.
        omega0: Frequency that multiplies the linear layer.
        scale: Of the angles, in radians; see the classes.
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
            if not 0 < coordinate_scale < math.inf:
                raise QuinrError(f"coordinate_scale = {coordinate_scale}: must be positive and finite")
            bound = coordinate_scale / in_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        bias_bound = 1 / math.sqrt(in_features)
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bias_bound, bias_bound))

    @property
    def bias_period(self) -> float | None:
        """A shift of a bias by this much leaves the state that is embedded as it was; None if none does."""
        return None

    def calibrate(self, inputs: Tensor) -> None:
        """Data-dependent initialisation from a sample of x, (sample, in_features); none by default."""

    def scaled(self, inputs: Tensor) -> Tensor:
        """``scale * omega0 * (W x + b)``: (batch, in_features) -> (batch, out_features)."""
        factor = self.scale * self.omega0
        return nn.functional.linear(inputs, factor * self.weight, factor * self.bias)


class SinusoidalEmbedding(Embedding):
    """Angles ``scale * sin(omega0 * (W x + b))``, in [-scale, scale]: those of quINR, and a SIREN layer."""

    @property
    def bias_period(self) -> float:
        """Of the sine: 2π / omega0; see Embedding."""
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


class LinearEmbedding(Embedding):
    """Angles ``scale * omega0 * (W x + b)``: those of QIREN.

    Its batch normalization is a linear function once it is trained, and part of W and b here: they start so
    that every angle has mean 0 and deviation ``scale`` over the signal.
    """

    @property
    def bias_period(self) -> float:
        """Of a rotation, whose sign is a global phase; see Embedding."""
        return 2 * math.pi / (self.scale * self.omega0)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        return self.scaled(inputs)

    @torch.no_grad()
    def calibrate(self, inputs: Tensor) -> None:
        """Sets mean and deviation of the angles; see Embedding."""
        deviation, mean = torch.std_mean(self.scaled(inputs) / self.scale, 0)
        deviation = deviation.clamp_min(1e-6)
        self.weight.div_(deviation[:, None])
        self.bias.sub_(mean / self.omega0).div_(deviation)


class AmplitudeEmbedding(Embedding):
    """Amplitudes ``√softmax(scale * omega0 * (W x + b))``: those of QVF, of a Boltzmann distribution."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features), of unit norm."""
        # Through the logarithm, since the root of what softmax rounds to 0 has no derivative.
        return (0.5 * self.scaled(inputs).log_softmax(1)).exp()


EMBEDDINGS: Mapping[str, type[Embedding]] = {
    "sine": SinusoidalEmbedding,
    "linear": LinearEmbedding,
    "softmax": AmplitudeEmbedding,
}
"""By the activation of a circuit's design; see `quinr_pl.circuit.ansatz.Design`."""
