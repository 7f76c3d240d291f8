"""From what is measured to values: probabilities of basis states, or expectations of Pauli Z."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.network.layers.plain_modules import is_plain
from quinr_pl.ops.columns import combined


def qrelu(x: Tensor) -> Tensor:
    """QReLU: x where x > 0, else 0.01 x - 2 x.

    The activation of quantum convolutional networks by Parisi et al. (2022), which quINR applies to its
    outputs. It is the identity on probabilities and acts only on values that a range map has shifted.
    """
    return torch.where(x > 0, x, 0.01 * x - 2 * x)


def _pauli_z(ansatz: Ansatz) -> Tensor:
    """The combinations of probabilities, (qubits, 2**qubits), on the CPU whatever the default device."""
    return torch.from_numpy(ansatz.pauli_z).float()


class Readout(nn.Module):
    """What a circuit measures, and values from it.

    An engine gives probabilities, or ``matrix`` times them at once, of which ``forward`` makes the values.

    Attributes:
        measured: The basis states that have a part in the values; None for all.
        matrix: What is measured as combinations of all probabilities, (out_features, 2**qubits).
    """

    measured: range | None = None
    matrix: Tensor

    def of_probabilities(self, probabilities: Tensor) -> Tensor:
        """Values of the probabilities of ``measured``, (batch, measured) -> (batch, out_features)."""
        states = self.measured
        matrix = self.matrix if states is None else self.matrix[:, states.start : states.stop]
        values: Tensor = self(combined(matrix, probabilities.T).T)
        return values

    def forward(self, combinations: Tensor) -> Tensor:
        """Values of what is measured, both (batch, out_features)."""
        return combinations


class Expectations(Readout):
    """The expectations of Pauli Z of all qubits.

    Args:
        ansatz: Ansatz of the circuit.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        super().__init__()
        self.register_buffer("matrix", _pauli_z(ansatz), persistent=False)


class LastStatesReadout(Readout):
    """The probabilities of the last basis states through QReLU: the read-out of the paper.

    Where a circuit measures expectations of Pauli Z, those of the last qubits.

    Args:
        ansatz: Ansatz of the circuit.
        out_features: Number of values.
        range_map: Whether each value has a learned gain and bias before QReLU. Without one the probabilities
            of a coordinate sum to at most 1, so that white lies out of reach.
    """

    def __init__(self, ansatz: Ansatz, out_features: int, range_map: bool) -> None:
        super().__init__()
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

    def forward(self, combinations: Tensor) -> Tensor:
        """See Readout."""
        if self.gain is None:
            return qrelu(combinations)
        return qrelu(self.gain * combinations + self.bias)


class LinearReadout(Readout):
    """A linear function of all that is measured: W (2**n p - 1) + b of probabilities p, or W z + b.

    z are expectations of Pauli Z. Probabilities are centred and scaled to unit spread: over Haar-random
    states ``2**n p`` has mean 1 and a standard deviation near 1.

    Args:
        ansatz: Ansatz of the circuit.
        out_features: Number of values.

    Attributes:
        weight: W, (out_features, 2**qubits or qubits).
    """

    pauli_z: Tensor | None

    def __init__(self, ansatz: Ansatz, out_features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(ansatz.qubits) if ansatz.expectations else 0.1
        self.weight = nn.Parameter(torch.empty(out_features, ansatz.observables).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.full((out_features,), 0.5))
        self.register_buffer("pauli_z", _pauli_z(ansatz) if ansatz.expectations else None, persistent=False)

    @property
    def matrix(self) -> Tensor:  # type: ignore[override]  # of weights that move
        """Values but for ``offset`` as combinations of the probabilities, (out_features, 2**qubits)."""
        return self.weight.shape[1] * self.weight if self.pauli_z is None else self.weight @ self.pauli_z

    @property
    def offset(self) -> Tensor:
        """What is added to them, (out_features,)."""
        return self.bias - self.weight.sum(dim=1) if self.pauli_z is None else self.bias

    def of_probabilities(self, probabilities: Tensor) -> Tensor:
        """See Readout."""
        if self.pauli_z is not None or not is_plain(self, LinearReadout):
            return super().of_probabilities(probabilities)
        return combined(self.weight, probabilities.T, self.bias, scale=self.weight.shape[1], shift=-1.0).T

    def forward(self, combinations: Tensor) -> Tensor:
        """See Readout."""
        return combinations + self.offset
