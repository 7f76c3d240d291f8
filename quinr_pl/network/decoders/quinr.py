"""quINR as files and the decoder know it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, get_args

import numpy as np

from quinr_pl.circuit.ansatz import DESIGNS, Ansatz, Pairs
from quinr_pl.errors import QuinrError
from quinr_pl.fields import Choice, Field, Integer, Real, Switch, Value
from quinr_pl.network.cost import LAYER, SINE, NetworkCost, circuit_cost, sine_layers_weights
from quinr_pl.network.decoders.layers import (
    circuit,
    from_log_scale,
    layer_shapes,
    linear_readout,
    sine_layer_shapes,
    sines,
)
from quinr_pl.network.decoders.protocol import (
    LOG_RANGE,
    Decoder,
    Floats,
    NetworkFormat,
    Reconstruction,
    Shape,
    Values,
)
from quinr_pl.signals import MOST_AXES, coordinate_values

_LAYER_NORM_EPSILON = np.float32(1e-5)


class QuINRFormat(NetworkFormat):
    """Arguments of quINR in files, and their cost."""

    CODE = 0
    FIELDS: ClassVar[Mapping[str, Field]] = {
        "qubits": Integer(1, 12),
        "angles": Integer(1, 4096),
        "uploads": Integer(1, 4096),
        "layers": Integer(1, 4096),
        "omega0": Real(16.0),
        "angle_scale": Real(0.8),
        "features": Switch("own", "shared"),
        "readout": Switch("linear", "last_states"),
        "pairs": Choice(get_args(Pairs), "ordered"),
        "stages": Integer(1, 16, 1),
        "range_map": Switch(True, False),
        "stage_norm": Choice(("scaled", "none", "centred", "standardized"), "scaled"),
        "shuffle_seed": Integer(0, 2**32 - 1, 0),
        "in_features": Integer(1, MOST_AXES, 2),
        "sine_layers": Integer(0, 64, 0),
        "sine_width": Integer(1, 2048, 28),
        "log_range": LOG_RANGE,
        "shuffle": Switch(True, False),
        "design": Choice(tuple(DESIGNS), "quinr"),
    }
    ansatz: Ansatz

    def __init__(self, **architecture: Value) -> None:
        super().__init__(**architecture)
        self.ansatz = _ansatz(architecture)
        channels, most = architecture["out_features"], self.ansatz.observables
        if architecture["readout"] == "last_states" and int(channels) > most:
            raise QuinrError(f"--model.network.out_features {channels}: must lie between 1 and {most}")

    @classmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        """What decoding takes; see `NetworkFormat.cost`."""
        ansatz = _ansatz(architecture)
        channels, measured, stages = architecture["out_features"], ansatz.observables, architecture["stages"]
        classical, width = architecture["sine_layers"], architecture["sine_width"]
        inputs = width if classical else architecture["in_features"]
        parameters = sine_layers_weights(architecture["in_features"], classical, width)
        parameters += ansatz.features_count * (inputs + 1 + (stages - 1) * (measured + 1))
        parameters += stages * math.prod(ansatz.weights_shape) + channels * (measured + 1)
        parameters += stages - 1 if architecture["stage_norm"] == "scaled" else 0
        pixel, plan = circuit_cost(ansatz, max(inputs, measured if stages > 1 else 0), channels)
        operations = parameters + classical * (LAYER + SINE * width)
        operations += stages * pixel + (stages - 1) * SINE * ansatz.states
        embedded = 0 if ansatz.gate_kinds.activation == "sine" else 2 * ansatz.features_count
        numbers = 4 * max(width if classical else 0, measured if stages > 1 else 0) + embedded
        numbers += 8 * channels + 8
        return NetworkCost(parameters, 2 * classical + 3 * stages + 3, operations, numbers, plan)


class QuINRDecoder(QuINRFormat, Decoder):
    """See quinr_pl.network.quinr.QuINR."""

    NETWORK = "QuINR"

    def weight_shapes(self) -> dict[str, Shape]:
        """See NetworkFormat."""
        arguments: Mapping[str, Any] = self._architecture
        classical, width, stages = (arguments[name] for name in ("sine_layers", "sine_width", "stages"))
        channels, measured = arguments["out_features"], self.ansatz.observables
        sizes = [width if classical else arguments["in_features"]] + [measured] * (stages - 1)
        shapes = sine_layer_shapes("sine_layers", arguments["in_features"], classical, width)
        for index, size in enumerate(sizes):
            shapes |= layer_shapes(f"embeddings.{index}", size, self.ansatz.features_count)
        shapes |= {f"circuits.{index}.weight": self.ansatz.weights_shape for index in range(stages)}
        if arguments["stage_norm"] == "scaled" and stages > 1:
            shapes["stage_norm.gains"] = (stages - 1,)
        if arguments["readout"] == "linear":
            shapes |= layer_shapes("readout", measured, channels)
        elif arguments["range_map"]:
            shapes |= {"readout.gain": (channels,), "readout.bias": (channels,)}
        return shapes

    def reconstruction(self, values: Values) -> Reconstruction:
        """See NetworkFormat."""
        arguments: Mapping[str, Any] = self._architecture
        between = self.ansatz.pauli_z.astype(np.float32) if self.ansatz.expectations else None

        def signal(start: int, stop: int, shape: Shape) -> Floats:
            features = coordinate_values(shape, start, stop)
            for layer in range(arguments["sine_layers"]):
                features = sines(values, f"sine_layers.{layer}", features, arguments["omega0"])
            last = arguments["stages"] - 1
            for stage in range(last):
                features = self._normed(values, stage, self._stage(values, stage, features, between))
            return from_log_scale(self._read_out(values, last, features), arguments["log_range"])

        return signal

    def _stage(self, values: Values, stage: int, features: Floats, readout: Floats | None) -> Floats:
        names = f"embeddings.{stage}", f"circuits.{stage}"
        omega0, angle_scale = (float(self._architecture[name]) for name in ("omega0", "angle_scale"))
        return circuit(values, names, self.ansatz, features, readout, omega0, angle_scale)

    def _normed(self, values: Values, stage: int, measured: Floats) -> Floats:
        """See StageNorm."""
        kind = self._architecture["stage_norm"]
        if kind == "none":
            return measured
        if kind == "standardized":
            centred = measured - measured.mean(1, keepdims=True)
            variance = np.square(centred).mean(1, keepdims=True)
            return centred / np.sqrt(variance + _LAYER_NORM_EPSILON)
        centred = measured
        if not self.ansatz.expectations:
            centred = measured * np.float32(self.ansatz.states) - np.float32(1)
        return values["stage_norm.gains"][stage] * centred if kind == "scaled" else centred

    def _read_out(self, values: Values, stage: int, features: Floats) -> Floats:
        """The last stage and its read-out; see LinearReadout and LastStatesReadout."""
        if self._architecture["readout"] == "linear":
            matrix, constant = linear_readout(values, "readout", self.ansatz)
            return self._stage(values, stage, features, matrix) + constant
        channels, states = int(self._architecture["out_features"]), self.ansatz.states
        if self.ansatz.expectations:
            last = self.ansatz.pauli_z[-channels:].astype(np.float32)
        else:
            last = np.eye(channels, states, states - channels, np.float32)
        observed = self._stage(values, stage, features, last)
        if self._architecture["range_map"]:
            observed = values["readout.gain"] * observed + values["readout.bias"]
        result: Floats = np.where(observed > 0, observed, np.float32(0.01) * observed - 2 * observed)
        return result


def _ansatz(architecture: Mapping[str, Any]) -> Ansatz:
    """The circuit of an architecture."""
    names = (
        "qubits",
        "angles",
        "uploads",
        "layers",
        "features",
        "pairs",
        "shuffle_seed",
        "shuffle",
        "design",
    )
    return Ansatz(**{name: architecture[name] for name in names})
