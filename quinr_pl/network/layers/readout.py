"""From probabilities of basis states to values."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def qrelu(x: Tensor) -> Tensor:
    """QReLU: x where x > 0, else 0.01 x - 2 x.

    The activation of quantum convolutional networks by Parisi et al. (2022), which quINR applies to its
    outputs. It is the identity on probabilities and acts only on values that a range map has shifted.
    """
    return torch.where(x > 0, x, 0.01 * x - 2 * x)


class LastStatesReadout(nn.Module):
    """The probabilities of the last basis states through QReLU: the read-out of the paper.

    Args:
        states: Number of basis states, 2**qubits.
        out_features: Number of values.
        range_map: Whether each value has a learned gain and bias before QReLU. Without one the values of
            a coordinate sum to at most 1, so that white lies out of reach.

    Attributes:
        measured: The states to measure.
        matrix: Which probability each value is, (out_features, states).
    """

    matrix: Tensor

    def __init__(self, states: int, out_features: int, range_map: bool) -> None:
        super().__init__()
        self.measured: range | None = range(states - out_features, states)
        # On the CPU whatever the default device, since no file restores it.
        matrix = torch.zeros(out_features, states, device="cpu")
        matrix[:, self.measured.start :] = torch.eye(out_features, device="cpu")
        self.register_buffer("matrix", matrix, persistent=False)
        if range_map:
            self.gain = nn.Parameter(torch.full((out_features,), float(out_features)))
            self.bias = nn.Parameter(torch.zeros(out_features))
        else:
            self.register_parameter("gain", None)
            self.register_parameter("bias", None)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Probabilities of the measured states, (batch, out_features) -> (batch, out_features)."""
        if self.gain is None:
            return qrelu(probabilities)
        return qrelu(self.gain * probabilities + self.bias)


class LinearReadout(nn.Module):
    """A linear function of all probabilities p, centred and scaled to unit spread: W (2**n p - 1) + b.

    Over Haar-random states ``2**n p`` has mean 1 and a standard deviation near 1.

    Args:
        states: Number of basis states, 2**qubits.
        out_features: Number of values.

    Attributes:
        measured: None: all states.
    """

    def __init__(self, states: int, out_features: int) -> None:
        super().__init__()
        self.measured: range | None = None
        self.weight = nn.Parameter(torch.empty(out_features, states).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.full((out_features,), 0.5))

    @property
    def matrix(self) -> Tensor:
        """2**n W, (out_features, states)."""
        return self.weight.shape[1] * self.weight

    @property
    def offset(self) -> Tensor:
        """What is added to ``2**n W p``, (out_features,)."""
        return self.bias - self.weight.sum(dim=1)

    def forward(self, observed: Tensor) -> Tensor:
        """2**n W p -> W (2**n p - 1) + b, both (batch, out_features)."""
        return observed + self.offset
