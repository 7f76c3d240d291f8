"""From the latents at a pixel to its values: a quantum circuit, or its classical twin."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import EngineLike
from quinr_pl.network.decoders.latent import twin_width
from quinr_pl.network.layers.embedding import SinusoidalEmbedding
from quinr_pl.network.layers.plain_modules import linear_of_columns
from quinr_pl.network.layers.quantum_layer import QuantumStage
from quinr_pl.network.layers.readout import LinearReadout

SynthesisKind = Literal["circuit", "relu"]

_QUIET = 0.3  # of a read-out's usual weights: at first the linear function beside it has the say


class CircuitSynthesis(nn.Module):
    """Sinusoidal embedding, circuit and linear read-out of the features of a pixel.

    Args:
        in_features: Size of the features.
        out_features: Size of the values.
        ansatz: Ansatz of the circuit.
        angle_scale: Largest angle in radians.
        engine: What runs the circuit: a name or an engine.
        units: (in_features,) what a unit of each feature is worth beside the first one's, at the start.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        ansatz: Ansatz,
        angle_scale: float,
        engine: EngineLike,
        units: Tensor,
    ) -> None:
        super().__init__()
        self.embedding = SinusoidalEmbedding(in_features, ansatz.features_count, 1.0, angle_scale)
        self.circuit = QuantumStage(ansatz=ansatz, engine=engine, weight_init=0.3)
        self.readout = LinearReadout(ansatz, out_features)
        # Latents grow to tens: larger weights would wrap their phases around.
        nn.init.uniform_(self.embedding.weight, -0.15, 0.15)
        self.embedding.weight.data.mul_(units)
        self.readout.weight.data.mul_(_QUIET)

    @property
    def of_features(self) -> Tensor:
        """The weights whose last axis is that of the features."""
        return self.embedding.weight

    def forward(self, features: Tensor, skip: Tensor | None = None) -> Tensor:
        """Values of pixels, with a linear function of their features.

        Args:
            features: (in_features, pixels).
            skip: Matrix of the linear function, (out_features, in_features); without one there is none.

        Returns:
            (out_features, pixels).
        """
        values: Tensor = self.circuit(features.T, self.embedding, self.readout, skip)
        return values.T


class ReluSynthesis(nn.Module):
    """One hidden layer with ReLU.

    Args:
        in_features: Size of the features.
        out_features: Size of the values.
        width: Number of hidden units.
        units: (in_features,) what a unit of each feature is worth beside the first one's, at the start.
    """

    def __init__(self, in_features: int, out_features: int, width: int, units: Tensor) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, width)
        self.readout = nn.Linear(width, out_features)
        with torch.no_grad():
            self.hidden.weight.mul_(units)
            self.readout.weight.mul_(_QUIET)
            self.readout.bias.fill_(0.5)

    @property
    def of_features(self) -> Tensor:
        """The weights whose last axis is that of the features."""
        return self.hidden.weight

    def forward(self, features: Tensor, skip: Tensor | None = None) -> Tensor:
        """Values of pixels, with a linear function of their features; see CircuitSynthesis."""
        hidden = torch.relu(linear_of_columns(self.hidden, features))
        values = linear_of_columns(self.readout, hidden)
        return values if skip is None else values + skip @ features


def make_synthesis(
    kind: SynthesisKind,
    in_features: int,
    out_features: int,
    ansatz: Ansatz,
    angle_scale: float,
    engine: EngineLike,
    units: Tensor,
) -> CircuitSynthesis | ReluSynthesis:
    """The synthesis of a kind."""
    if kind == "circuit":
        return CircuitSynthesis(in_features, out_features, ansatz, angle_scale, engine, units)
    return ReluSynthesis(in_features, out_features, twin_width(ansatz, in_features, out_features), units)
