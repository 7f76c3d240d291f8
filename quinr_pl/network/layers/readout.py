"""From what is measured to values: probabilities of basis states, or expectations of Pauli Z."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import Ansatz


def qrelu(x: Tensor) -> Tensor:
    """QReLU: x where x > 0, else 0.01 x - 2 x.

    The activation of quantum convolutional networks by Parisi et al. (2022), which quINR applies to its
    outputs. It is the identity on probabilities and acts only on values that a range map has shifted.
    """
    return torch.where(x > 0, x, 0.01 * x - 2 * x)


def _pauli_z(ansatz: Ansatz) -> Tensor:
    """The combinations of probabilities, (qubits, 2**qubits), on the CPU whatever the default device."""
    return torch.from_numpy(ansatz.pauli_z).float()


class Expectations(nn.Module):
    """The expectations of Pauli Z of all qubits, for a circuit to measure.

    Args:
        ansatz: Ansatz of the circuit.

    Attributes:
        measured: None: all states.
        matrix: The expectations as combinations of the probabilities, (qubits, 2**qubits).
    """

    matrix: Tensor

    def __init__(self, ansatz: Ansatz) -> None:
        super().__init__()
        self.measured: range | None = None
        self.register_buffer("matrix", _pauli_z(ansatz), persistent=False)


class LastStatesReadout(nn.Module):
    """The probabilities of the last basis states through QReLU: the read-out of the paper.

    Where a circuit measures expectations of Pauli Z, those of the last qubits.

    Args:
        ansatz: Ansatz of the circuit.
        out_features: Number of values.
        range_map: Whether each value has a learned gain and bias before QReLU. Without one the probabilities
            of a coordinate sum to at most 1, so that white lies out of reach.

    Attributes:
        measured: The states to measure; None for all.
        matrix: Values before gain and bias as combinations of all probabilities, (out_features, states).
    """

    matrix: Tensor

    def __init__(self, ansatz: Ansatz, out_features: int, range_map: bool) -> None:
        super().__init__()
        self.measured: range | None = None
        if ansatz.expectations:
            matrix, gain, bias = _pauli_z(ansatz)[-out_features:], 0.5, 0.5  # of values in [-1, 1]
        else:
            self.measured = range(ansatz.states - out_features, ansatz.states)
            # On the CPU whatever the default device, since no file restores it.
            matrix = torch.zeros(out_features, ansatz.states, device="cpu")
            matrix[:, self.measured.start :] = torch.eye(out_features, device="cpu")
            gain, bias = float(out_features), 0.0
        self.register_buffer("matrix", matrix, persistent=False)
        if range_map:
            self.gain = nn.Parameter(torch.full((out_features,), gain))
            self.bias = nn.Parameter(torch.full((out_features,), bias))
        else:
            self.register_parameter("gain", None)
            self.register_parameter("bias", None)

    def forward(self, measured: Tensor) -> Tensor:
        """What is measured, (batch, out_features) -> (batch, out_features)."""
        if self.gain is None:
            return qrelu(measured)
        return qrelu(self.gain * measured + self.bias)


class LinearReadout(nn.Module):
    """A linear function of all that is measured: W (2**n p - 1) + b of probabilities p, or W z + b.

    z are expectations of Pauli Z. Probabilities are centred and scaled to unit spread: over Haar-random
    states ``2**n p`` has mean 1 and a standard deviation near 1.

    Args:
        ansatz: Ansatz of the circuit.
        out_features: Number of values.

    Attributes:
        measured: None: all states.
        weight: W, (out_features, 2**qubits or qubits).
    """

    pauli_z: Tensor | None

    def __init__(self, ansatz: Ansatz, out_features: int) -> None:
        super().__init__()
        self.measured: range | None = None
        bound = 1 / math.sqrt(ansatz.qubits) if ansatz.expectations else 0.1
        self.weight = nn.Parameter(torch.empty(out_features, ansatz.observables).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.full((out_features,), 0.5))
        self.register_buffer("pauli_z", _pauli_z(ansatz) if ansatz.expectations else None, persistent=False)

    @property
    def matrix(self) -> Tensor:
        """Values but for ``offset`` as combinations of the probabilities, (out_features, 2**qubits)."""
        return self.weight.shape[1] * self.weight if self.pauli_z is None else self.weight @ self.pauli_z

    @property
    def offset(self) -> Tensor:
        """What is added to them, (out_features,)."""
        return self.bias - self.weight.sum(dim=1) if self.pauli_z is None else self.bias

    def forward(self, observed: Tensor) -> Tensor:
        """Combinations of the probabilities -> values, both (batch, out_features)."""
        return observed + self.offset
