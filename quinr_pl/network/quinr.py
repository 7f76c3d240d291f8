"""quINR: coordinates -> SIREN layers -> sinusoidal embedding -> quantum circuit -> read-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from quinr_pl.circuit.ansatz import DesignName, Features, Pairs
from quinr_pl.circuit.engines.registry import EngineLike, make_engine
from quinr_pl.network.base import CoordinateNetwork, from_log_scale
from quinr_pl.network.decoders.quinr import QuINRFormat
from quinr_pl.network.layers.embedding import EMBEDDINGS, Embedding
from quinr_pl.network.layers.embedding import sine_layers as build_sine_layers
from quinr_pl.network.layers.quantum_layer import QuantumStage
from quinr_pl.network.layers.readout import Expectations, LastStatesReadout, LinearReadout
from quinr_pl.network.layers.stage_norm import StageNorm


class QuINR(QuINRFormat, CoordinateNetwork):
    """The hybrid network of Fujihashi & Koike-Akino, "Quantum Implicit Neural Compression" (2024).

    The defaults are the paper's choices; the options beside them train better. With another design it has the
    circuits of other papers.

    Args:
        in_features: Size of a coordinate.
        out_features: Size of a value.
        qubits: Number of qubits n.
        angles: Embedding angles M of one upload, folded onto the qubits; of the design "qvf" 2**n.
        uploads: Number of blocks: an upload of the angles, then entangling layers.
        layers: Entangling layers of one block.
        features: "shared": every upload takes the same angles; "own": every upload has angles of its own.
        pairs: Which qubits the entangling layers couple; see Ansatz.
        omega0: Frequency of the embedding and of the SIREN layers.
        angle_scale: Largest embedding angle, in radians; what else it scales, the classes of embeddings say.
        weight_init: Rotations of the entangling layers start uniform in plus or minus this, in radians.
        readout: "last_states": probabilities of the last out_features states, or expectations of the last
            qubits, through QReLU; "linear": a linear function of all of them.
        range_map: Whether "last_states" has a learned gain and bias for each value.
        stages: How often embedding and circuit follow each other; probabilities feed the next embedding.
        stage_norm: How they are normalized for it; see StageNorm.
        sine_layers: Classical SIREN layers between the coordinates and the first embedding.
        sine_width: Units of each of them.
        coordinate_scale: How far weights of coordinates reach at the start; see Embedding.
        shuffle_seed: Seed of the shuffled re-uploads.
        shuffle: Whether shared angles are shuffled from the second upload on.
        log_range: Nats of the logarithmic scale that the read-out gives values on; see from_log_scale.
        design: Kinds of gates, embedding and measurement: "quinr", "qiren" or "qvf"; see
            quinr_pl.circuit.ansatz.DESIGNS.
        engine: What runs the circuit: a name, a name with options or an engine; see
            quinr_pl.circuit.engines.registry.make_engine.

    Raises:
        QuinrError: If an argument is out of range.
    """

    def __init__(
        self,
        in_features: int = 2,
        out_features: int = 3,
        qubits: int = 4,
        angles: int = 12,
        uploads: int = 3,
        layers: int = 2,
        features: Features = "shared",
        pairs: Pairs = "ordered",
        omega0: float = 30.0,
        angle_scale: float = 1.0,
        weight_init: float = torch.pi,
        readout: Literal["last_states", "linear"] = "last_states",
        range_map: bool = True,
        stages: int = 1,
        stage_norm: Literal["none", "centred", "standardized", "scaled"] = "none",
        sine_layers: int = 0,
        sine_width: int = 28,
        coordinate_scale: float = 1.0,
        shuffle_seed: int = 0,
        shuffle: bool = True,
        log_range: int = 0,
        design: DesignName = "quinr",
        engine: EngineLike = "auto",
    ) -> None:
        super().__init__(
            in_features=in_features,
            out_features=out_features,
            qubits=qubits,
            angles=angles,
            uploads=uploads,
            layers=layers,
            features=features,
            pairs=pairs,
            omega0=omega0,
            angle_scale=angle_scale,
            readout=readout,
            range_map=range_map or readout == "linear",  # which has none to leave out
            stages=stages,
            stage_norm=stage_norm,
            sine_layers=sine_layers,
            sine_width=sine_width,
            log_range=log_range,
            shuffle_seed=shuffle_seed,
            shuffle=shuffle,
            design=design,
        )
        ansatz = self.ansatz
        self.log_range = log_range
        self.sine_layers = build_sine_layers(in_features, sine_layers, sine_width, omega0, coordinate_scale)
        sizes = [sine_width if sine_layers else in_features] + [ansatz.observables] * (stages - 1)
        embedding = EMBEDDINGS[ansatz.gate_kinds.activation]
        self.embeddings = nn.ModuleList(
            embedding(
                size,
                ansatz.features_count,
                omega0,
                angle_scale,
                None if index or sine_layers else coordinate_scale,
            )
            for index, size in enumerate(sizes)
        )
        shared = make_engine(engine)  # one engine, whose random numbers go on from circuit to circuit
        self.circuits = nn.ModuleList(
            QuantumStage(ansatz=ansatz, engine=shared, weight_init=weight_init) for _ in sizes
        )
        self.stage_norm = StageNorm(stage_norm, stages, ansatz.expectations)
        self.expectations = Expectations(ansatz) if ansatz.expectations else None
        self.readout: LastStatesReadout | LinearReadout
        if readout == "linear":
            self.readout = LinearReadout(ansatz, out_features)
        else:
            self.readout = LastStatesReadout(ansatz, out_features, range_map)

    def forward(self, coordinates: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        features = self._classical(coordinates)  # (batch, in_features or sine_width)
        for stage, (embedding, circuit) in enumerate(self._earlier_stages()):
            measured = circuit(features, embedding, self.expectations)  # (batch, observables)
            features = self.stage_norm(measured, stage)
        values = self.circuits[-1](features, self.embeddings[-1], self.readout)  # (batch, out_features)
        return from_log_scale(values, self.log_range)

    @torch.no_grad()
    def calibrate(self, coordinates: Tensor) -> None:
        """Sets how embeddings begin, and what the features between stages are scaled by."""
        features = self._classical(coordinates)
        for stage, (embedding, circuit) in enumerate(self._earlier_stages()):
            embedding.calibrate(features)
            measured = circuit(features, embedding, self.expectations)
            self.stage_norm.calibrate(measured, stage)
            features = self.stage_norm(measured, stage)
        last = self.embeddings[-1]
        assert isinstance(last, Embedding)
        last.calibrate(features)

    def _classical(self, coordinates: Tensor) -> Tensor:
        for layer in self.sine_layers:
            coordinates = layer(coordinates)
        return coordinates

    def _earlier_stages(self) -> Iterator[tuple[Embedding, QuantumStage]]:
        for embedding, circuit in zip(self.embeddings[:-1], self.circuits[:-1], strict=True):
            assert isinstance(embedding, Embedding)
            assert isinstance(circuit, QuantumStage)
            yield embedding, circuit

    def parameters_by_depth(self) -> list[list[str]]:
        """SIREN layers, embedding and circuit of each stage in turn, then the rest."""
        layers = super().parameters_by_depth()  # all SIREN layers, embeddings and circuits, then the rest
        classical, stages = len(self.sine_layers), len(self.circuits)
        embeddings = layers[classical : classical + stages]
        circuits = layers[classical + stages : classical + 2 * stages]
        pairs = zip(embeddings, circuits, strict=True)
        in_turn = [layer for pair in pairs for layer in pair]
        return layers[:classical] + in_turn + layers[classical + 2 * stages :]

    def feature_weights(self) -> list[nn.Parameter]:
        """Of all SIREN layers and embeddings but the one of the coordinates, and of a linear read-out."""
        linear = [*self.sine_layers, *self.embeddings][1:]
        if isinstance(self.readout, LinearReadout):
            linear.append(self.readout)
        return [layer.get_parameter("weight") for layer in linear]

    def parameter_periods(self) -> dict[str, Tensor]:
        """Biases of SIREN layers and embeddings, and rotations of the entangling layers are periodic."""
        periods = {
            f"{kind}.{index}.bias": torch.tensor(layer.bias_period)
            for kind in ("sine_layers", "embeddings")
            for index, layer in enumerate(self.get_submodule(kind).children())
            if isinstance(layer, Embedding) and layer.bias_period is not None
        }
        rotations = torch.as_tensor(self.ansatz.weight_periods, dtype=torch.float32)
        return periods | {f"circuits.{index}.weight": rotations for index in range(len(self.circuits))}
