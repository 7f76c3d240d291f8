"""The quantum circuit as a torch layer."""

from __future__ import annotations

import copy
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import check_name, choose
from quinr_pl.network.layers.embedding import SinusoidalEmbedding
from quinr_pl.network.layers.plain_modules import is_plain


class Observables(Protocol):
    """What is measured: linear combinations of probabilities.

    Attributes:
        measured: The basis states that have a part in them; None for all.
    """

    measured: range | None

    @property
    def matrix(self) -> Tensor:
        """The combinations, (out_features, 2**qubits)."""
        ...


class QuantumLayer(nn.Module):
    """The circuit as a layer: angles in radians to probabilities, (batch, features) -> (batch, 2**qubits).

    It goes into ``nn.Sequential`` as it is. Given an embedding and observables, it is one stage of quINR,
    which the CPU engine computes in one pass.

    Gradients flow through the chosen engine. Without gradients (validation, decoding) the fastest engine
    of the device runs, since all of them compute the same function.

    Args:
        ansatz: The circuit.
        engine: Name of the engine that trains.
        weight_init: Rotations of the entangling layers start uniform in plus or minus this, in radians.

    Raises:
        QuinrError: If there is no such engine.
    """

    def __init__(self, ansatz: Ansatz, engine: str = "auto", weight_init: float = torch.pi) -> None:
        super().__init__()
        check_name(engine)  # an unknown name fails here, not at the first step
        self.ansatz = ansatz
        self.engine = engine
        self.weight = nn.Parameter(torch.empty(ansatz.weights_shape).uniform_(-weight_init, weight_init))

    def forward(
        self,
        inputs: Tensor,
        embedding: SinusoidalEmbedding | None = None,
        observables: Observables | None = None,
    ) -> Tensor:
        """Probabilities, or linear combinations of them.

        Args:
            inputs: (batch, in_features), float32 or float64 as the weights; under autocast of any precision,
                as it has no part in this layer.
            embedding: Makes the angles of them; without one they are the angles, (batch, features_count of
                the ansatz), in radians.
            observables: What is measured; the probabilities of all basis states when left out.

        Returns:
            (batch, out_features) of the observables, or (batch, 2**qubits).

        Raises:
            QuinrError: If a shape, dtype or device does not fit, or the engine cannot serve the device.
        """
        device = inputs.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            # Half precision is too coarse for angles.
            with torch.autocast(device, enabled=False):
                return self.forward(inputs.to(self.weight.dtype), embedding, observables)
        engine = choose(self.engine if torch.is_grad_enabled() else "auto", inputs.device)
        # An engine that computes the sines itself never calls the embedding.
        if (
            embedding is not None
            and hasattr(engine, "sine_layer")
            and is_plain(embedding, SinusoidalEmbedding)
        ):
            return engine.sine_layer(
                self.ansatz,
                inputs,
                embedding.weight,
                embedding.bias,
                self.weight,
                None if observables is None else observables.matrix,
                omega0=embedding.omega0,
                angle_scale=embedding.scale,
            )
        angles = inputs if embedding is None else embedding(inputs)
        if observables is None:
            return engine.probabilities(self.ansatz, angles, self.weight)
        states = observables.measured or range(self.ansatz.states)
        probabilities = engine.probabilities(self.ansatz, angles, self.weight, states)
        return nn.functional.linear(probabilities, observables.matrix[:, states.start : states.stop])


Network = TypeVar("Network", bound=nn.Module)


def fast_copy(network: Network) -> Network:
    """A copy of a network whose circuits run, and train, on the fastest engine of the device.

    All engines compute the same function, some of them a thousand times slower.
    """
    result = copy.deepcopy(network)
    for module in result.modules():
        if isinstance(module, QuantumLayer):
            module.engine = "auto"
    return result
