"""The quantum circuit as a torch layer."""

from __future__ import annotations

import copy
import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import Ansatz, DesignName, Features, Pairs
from quinr_pl.circuit.engines.protocol import Engine, FusedEngine
from quinr_pl.circuit.engines.registry import AutoEngine, EngineLike, make_engine
from quinr_pl.errors import QuinrError
from quinr_pl.network.layers.embedding import Embedding, SinusoidalEmbedding
from quinr_pl.network.layers.plain_modules import is_plain
from quinr_pl.network.layers.readout import LinearReadout, Readout
from quinr_pl.ops.columns import combined

_AUTO = AutoEngine()


class QuantumLayer(nn.Module):
    """The circuit as a layer: angles in radians to probabilities of basis states.

    It goes into ``nn.Sequential`` as it is, with any leading axes. Gradients flow into the angles and into
    the rotations of the entangling layers. Without gradients an exact engine leaves its place to the fastest
    exact one of the device, as both compute the same function; any other engine always runs itself.

    Args:
        qubits: Number of qubits n.
        angles: Angles that one upload embeds, folded onto the qubits; as many as qubits when left out.
        uploads: How often angles are embedded; see :class:`quinr_pl.circuit.ansatz.Ansatz`, also for the
            defaults of what follows.
        layers: Entangling layers after each upload.
        features: Whether all uploads take the ``shared`` angles or each its ``own``.
        pairs: Which qubits the entangling layers couple: ``ordered``, ``unordered``, ``ring``, ``none`` or
            ``strong``.
        shuffle_seed: Seed of the shuffled re-uploads.
        shuffle: Whether shared angles are shuffled from the second upload on.
        design: Kinds of gates and embedding: ``quinr``, ``qiren`` or ``qvf``.
        ansatz: The circuit as a whole, instead of all of the above.
        outputs: Measures the last so many basis states; all 2**n when left out.
        engine: What runs the circuit: a name, a name with options or an engine; see
            :func:`quinr_pl.circuit.engines.registry.make_engine`.
        weight_init: Rotations of the entangling layers start uniform in plus or minus this, in radians.

    Attributes:
        ansatz: Ansatz of the circuit.
        engine: The engine that trains.
        weight: The rotations, in radians, of shape ``ansatz.weights_shape``.

    Raises:
        QuinrError: If an argument is out of range or there is no such engine.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from quinr_pl import QuantumLayer
        >>> layer = QuantumLayer(qubits=4, angles=12, uploads=2, outputs=3)
        >>> layer(torch.zeros(5, 12)).shape
        torch.Size([5, 3])
        >>> network = nn.Sequential(nn.Linear(2, 4), QuantumLayer(qubits=4), nn.Linear(16, 1))
        >>> network(torch.zeros(7, 5, 2)).shape
        torch.Size([7, 5, 1])
    """

    def __init__(
        self,
        qubits: int | None = None,
        angles: int | None = None,
        uploads: int | None = None,
        layers: int | None = None,
        features: Features | None = None,
        pairs: Pairs | None = None,
        shuffle_seed: int | None = None,
        shuffle: bool | None = None,
        design: DesignName | None = None,
        *,
        ansatz: Ansatz | None = None,
        outputs: int | None = None,
        engine: EngineLike = "auto",
        weight_init: float = torch.pi,
    ) -> None:
        super().__init__()
        given = {
            "qubits": qubits,
            "angles": qubits if angles is None else angles,
            "uploads": uploads,
            "layers": layers,
            "features": features,
            "pairs": pairs,
            "shuffle_seed": shuffle_seed,
            "shuffle": shuffle,
            "design": design,
        }
        circuit: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if qubits is None if ansatz is None else circuit:
            raise QuinrError(
                f"QuantumLayer with ansatz {ansatz} and {circuit or 'no other arguments'} of a circuit: "
                "needs either an ansatz or qubits"
            )
        self.ansatz = ansatz or Ansatz(**circuit)
        if outputs is not None and not 1 <= outputs <= self.ansatz.states:
            raise QuinrError(f"outputs = {outputs}: must lie between 1 and {self.ansatz.states}")
        if not 0 <= weight_init < math.inf:
            raise QuinrError(f"weight_init = {weight_init}: must not be negative, and finite")
        self.outputs = outputs
        self.engine = make_engine(engine)  # an unknown name fails here, not at the first step
        self.weight = nn.Parameter(torch.empty(self.ansatz.weights_shape).uniform_(-weight_init, weight_init))

    def forward(self, angles: Tensor) -> Tensor:
        """Probabilities of all basis states, or of the last ``outputs`` ones.

        Args:
            angles: (..., ansatz.features_count) in radians, or amplitudes; float32 or float64 as the weights;
                under autocast of any precision, as it has no part in this layer.

        Returns:
            (..., 2**qubits) or (..., outputs), in the order of the states, qubit 0 as the most significant
            bit.

        Raises:
            QuinrError: If a shape, dtype or device does not fit, or the engine cannot serve the device.
        """
        if _in_autocast(angles):
            with torch.autocast(angles.device.type, enabled=False):
                return self.forward(angles.to(self.weight.dtype))
        if angles.ndim == 0 or angles.shape[-1] != self.ansatz.features_count:
            raise QuinrError(
                f"angles of shape {tuple(angles.shape)}: needs (..., {self.ansatz.features_count})"
            )
        states = None if self.outputs is None else range(self.ansatz.states)[-self.outputs :]
        engine = self.running_engine(angles.device)
        if angles.ndim == 2:
            return engine.probabilities(self.ansatz, angles, self.weight, states)
        batch = angles.reshape(-1, angles.shape[-1])  # (coordinates, features_count)
        probabilities = engine.probabilities(self.ansatz, batch, self.weight, states)
        return probabilities.reshape(*angles.shape[:-1], probabilities.shape[-1])

    def running_engine(self, device: torch.device) -> Engine:
        """The engine that computes on a device, with or without gradients as they are at present.

        Raises:
            QuinrError: If it cannot serve the device.
        """
        replaced = self.engine.exact and not torch.is_grad_enabled()
        return (_AUTO if replaced else self.engine).on(device)

    def extra_repr(self) -> str:
        """Circuit and engine."""
        outputs = "" if self.outputs is None else f", outputs={self.outputs}"
        return f"{self.ansatz}{outputs}, engine={self.engine.name}"


class QuantumStage(QuantumLayer):
    """A stage of quINR: embedding, circuit and read-out, which a fused engine computes in one pass."""

    def forward(
        self,
        inputs: Tensor,
        embedding: Embedding | None = None,
        readout: Readout | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        """Values of a read-out, or the probabilities of all basis states.

        Args:
            inputs: (batch, in_features); dtypes as in :class:`QuantumLayer`.
            embedding: Makes the angles or amplitudes of them; without one they are these.
            readout: Makes values of what is measured; the probabilities stay when left out.
            skip: Matrix of a linear function of the inputs that is added to the values,
                (out_features, in_features).

        Returns:
            (batch, out_features) of the read-out, or (batch, 2**qubits).

        Raises:
            QuinrError: If a shape, dtype or device does not fit, or the engine cannot serve the device.
        """
        if _in_autocast(inputs):
            with torch.autocast(inputs.device.type, enabled=False):
                return self.forward(inputs.to(self.weight.dtype), embedding, readout, skip)
        engine = self.running_engine(inputs.device)
        # An engine that computes the sines itself never calls the embedding.
        if (
            embedding is not None
            and isinstance(engine, FusedEngine)
            and is_plain(embedding, SinusoidalEmbedding)
        ):
            layer = (self.ansatz, inputs, embedding.weight, embedding.bias, self.weight)
            omega0, scale = embedding.omega0, embedding.scale
            if skip is not None and isinstance(readout, LinearReadout) and is_plain(readout, LinearReadout):
                linear = readout.matrix, skip, readout.offset
                return engine.residual_layer(*layer, *linear, omega0=omega0, angle_scale=scale)
            matrix = None if readout is None else readout.matrix
            values = engine.sine_layer(*layer, matrix, omega0=omega0, angle_scale=scale)
            if readout is not None:
                values = readout(values)
        else:
            values = self._read_out(engine, inputs if embedding is None else embedding(inputs), readout)
        return values if skip is None else values + combined(skip, inputs.T).T

    def _read_out(self, engine: Engine, angles: Tensor, readout: Readout | None) -> Tensor:
        """Values of a read-out at angles, or all probabilities."""
        if readout is None:
            return engine.probabilities(self.ansatz, angles, self.weight)
        probabilities = engine.probabilities(self.ansatz, angles, self.weight, readout.measured)
        return readout.of_probabilities(probabilities)


def _in_autocast(inputs: Tensor) -> bool:
    """Whether autocast is on, which a circuit leaves out: half precision is too coarse for angles."""
    device = inputs.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


Network = TypeVar("Network", bound=nn.Module)


def fast_copy(network: Network) -> Network:
    """A copy of a network whose exact engines are the fastest of the device, in training too.

    All exact engines compute the same function, some of them a thousand times slower.
    """
    result = copy.deepcopy(network)
    for module in result.modules():
        if isinstance(module, QuantumLayer) and module.engine.exact:
            module.engine = _AUTO
    return result
