"""The quantum circuit as a torch layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engine import choose


class QuantumLayer(nn.Module):
    """Probabilities of basis states after the circuit.

    Gradients flow through the chosen engine. Without gradients (validation, decoding) the fastest engine
    of the device runs, since all of them compute the same function.

    Args:
        ansatz: The circuit.
        engine: Name of the engine that trains.
        weight_init: Rotations of the entangling layers start uniform in plus or minus this, in radians.

    Raises:
        QuinrError: If there is no such engine.
    """

    def __init__(self, ansatz: Ansatz, engine: str, weight_init: float) -> None:
        super().__init__()
        choose(engine, torch.device("cpu"))  # an unknown name fails here, not at the first step
        self.ansatz = ansatz
        self.engine = engine
        self.weight = nn.Parameter(torch.empty(ansatz.weights_shape).uniform_(-weight_init, weight_init))

    def forward(self, angles: Tensor, states: Sequence[int] | None = None) -> Tensor:
        """(batch, ansatz.features_count) -> (batch, len(states)); all 2**qubits states when left out."""
        name = self.engine if torch.is_grad_enabled() else "auto"
        return choose(name, angles.device).probabilities(self.ansatz, angles, self.weight, states)
