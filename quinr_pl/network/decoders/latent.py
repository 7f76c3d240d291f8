"""quINR on latent grids as files and the decoder know it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, get_args

import numpy as np

from quinr_pl.circuit.ansatz import Ansatz, Pairs
from quinr_pl.fields import Choice, Field, Integer, Real, Switch, Value
from quinr_pl.network.cost import Cost, NetworkCost, circuit_cost
from quinr_pl.network.decoders.layers import circuit, layer_shapes, linear_readout, of_columns
from quinr_pl.network.decoders.protocol import (
    Decoder,
    Floats,
    NetworkFormat,
    Reconstruction,
    Shape,
    Values,
)
from quinr_pl.network.latent.bands import filters_of_doublings, grid_shape, interpolated_windows, looked_at
from quinr_pl.network.latent.context_shape import NEIGHBOURS, ContextShape
from quinr_pl.ops.cpu.filters import filtered
from quinr_pl.ops.cpu.upsampling import upsampled
from quinr_pl.ops.kernels.upsampling import TAPS
from quinr_pl.ops.window import Window
from quinr_pl.signals import MOST_AXES, SignalSpec

# What decoding weighs, in multiply-adds of a large matrix product: a grid's value at a pixel, all doublings
# on the way there included; a multiply-add of a 3 x 3 filter; a hidden unit of the synthesis.
_GRID, _FILTER, _RELU = 100, 3, 60
_CONTEXT = "neighbours", "context_width", "context_layers"
_INTERPOLATION_MARGIN = 6  # rows to either side that the interpolation of a band computes in vain


class LatentFormat(NetworkFormat):
    """Arguments of quINR on latent grids in files, and their cost."""

    CODE = 2
    FIELDS: ClassVar[Mapping[str, Field]] = {
        "finest": Integer(0, 8, 1),
        "grids": Integer(1, 12, 6),
        "qubits": Integer(1, 12, 4),
        "angles": Integer(1, 4096, 8),
        "uploads": Integer(1, 4096, 2),
        "neighbours": Integer(1, len(NEIGHBOURS), 12),
        "context_width": Integer(1, 256, 12),
        "synthesis": Switch("circuit", "relu"),
        "filters": Integer(0, 8, 2),
        "layers": Integer(1, 4096, 1),
        "angle_scale": Real(1.5),
        "pairs": Choice(get_args(Pairs), "ring"),
        "in_features": Integer(1, MOST_AXES, 2),
        "context_layers": Integer(1, 2, 1),
        "upsampling": Switch("shared", "own"),
    }
    ansatz: Ansatz

    def __init__(self, **architecture: Value) -> None:
        super().__init__(**architecture)
        self.ansatz = _ansatz(architecture)

    @classmethod
    def signal_arguments(cls, spec: SignalSpec) -> dict[str, int]:
        """See NetworkFormat: rows, which are all axes but the last, and columns, which are the last, too."""
        *rows, width = spec.shape
        return {**super().signal_arguments(spec), "height": math.prod(rows), "width": width}

    @classmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        """See NetworkFormat; decoding the latents is not counted here."""
        ansatz = _ansatz(architecture)
        channels, grids, filters = (architecture[name] for name in ("out_features", "grids", "filters"))
        pixel, plan = circuit_cost(ansatz, grids, channels)
        synthesis = circuit_parameters(ansatz, grids, channels)
        hidden = 0
        if architecture["synthesis"] == "relu":
            hidden = twin_width(ansatz, grids, channels)
            synthesis = hidden * (grids + 1 + channels) + channels
            pixel, plan = synthesis + _RELU * hidden, Cost()
        of_filters = filters * channels * (9 * channels + 1)
        width = architecture["context_width"]
        of_second = (architecture["context_layers"] - 1) * width * (width + 1)
        context = width * (architecture["neighbours"] + 2) + of_second + 2 * (width + 1) + grids
        taps = math.prod(_taps_shape(architecture))
        parameters = synthesis + channels * grids + of_filters + context + taps
        operations = pixel + of_filters * _FILTER + grids * (_GRID + channels)
        numbers = 4 * grids + 2 * hidden + (filters + 8) * channels
        margin = filters + _INTERPOLATION_MARGIN
        return NetworkCost(parameters, 2 * filters + 16, operations, numbers, plan, margin)


class LatentDecoder(LatentFormat, Decoder):
    """See quinr_pl.network.latent.latent_quinr.LatentQuINR."""

    NETWORK = "LatentQuINR"

    def weight_shapes(self) -> dict[str, Shape]:
        """See NetworkFormat."""
        arguments: Mapping[str, Any] = self._architecture
        grids, channels, width = (arguments[key] for key in ("grids", "out_features", "context_width"))
        second = layer_shapes("context.second", width, width) if arguments["context_layers"] == 2 else {}
        shapes: dict[str, Shape] = {"pyramid.interpolation.weight": _taps_shape(arguments)}
        if arguments["synthesis"] == "circuit":
            shapes |= layer_shapes("synthesis.embedding", grids, self.ansatz.features_count)
            shapes["synthesis.circuit.weight"] = self.ansatz.weights_shape
            shapes |= layer_shapes("synthesis.readout", self.ansatz.states, channels)
        else:
            hidden = twin_width(self.ansatz, grids, channels)
            shapes |= layer_shapes("synthesis.hidden", grids, hidden)
            shapes |= layer_shapes("synthesis.readout", hidden, channels)
        shapes["skip.weight"] = (channels, grids)
        for index in range(arguments["filters"]):
            shapes[f"filters.{index}.weight"] = (channels, channels, 3, 3)
            shapes[f"filters.{index}.bias"] = (channels,)
        shapes |= layer_shapes("context.hidden", arguments["neighbours"] + 1, width)
        shapes |= second | layer_shapes("context.output", width, 2)
        return shapes | {"context.grid.bias": (grids,)}

    def integer_shapes(self) -> dict[str, Shape]:
        """See NetworkFormat: the latents, the finest grid first."""
        height, width, finest, grids = (
            int(self._architecture[key]) for key in ("height", "width", "finest", "grids")
        )
        return {f"pyramid.grids.{index}": grid_shape(height, width, finest + index) for index in range(grids)}

    def context_shape(self) -> ContextShape:
        """See NetworkFormat."""
        sizes = (int(self._architecture[key]) for key in _CONTEXT)
        return ContextShape("context", *sizes)

    def reconstruction(self, values: Values) -> Reconstruction:
        """See NetworkFormat; works on whole rows."""
        filters = [
            values[f"filters.{index}.{part}"]
            for index in range(int(self._architecture["filters"]))
            for part in ("weight", "bias")
        ]
        margin = len(filters) // 2  # each looks one row further
        height, width = (int(self._architecture[key]) for key in ("height", "width"))

        def signal(start: int, stop: int, shape: Shape) -> Floats:
            first, last = start // width, -(-stop // width)
            top, bottom = max(0, first - margin), min(height, last + margin)
            features = self._interpolated(values, (top, bottom), (height, width))
            pixels = features.reshape(len(features), -1)  # (grids, pixels)
            found = self._synthesis(values, pixels)
            found += of_columns(values, "skip", pixels)
            found = found.reshape(-1, bottom - top, width)
            if filters:
                found, _ = filtered(False, found, *filters)
            found = found[:, first - top : last - top].reshape(len(found), -1).T
            return found[start - first * width : stop - first * width]

        return signal

    def _interpolated(self, values: Values, rows: tuple[int, int], shape: tuple[int, int]) -> Floats:
        """All grids at some rows of the signal, (grids, rows, columns)."""
        finest, grids = int(self._architecture["finest"]), int(self._architecture["grids"])

        whole = Window(*rows, 0, shape[1])
        windows = looked_at(whole, shape, finest + grids - 1)
        parts = [windows[finest + index].of(values[f"pyramid.grids.{index}"]) for index in range(grids)]
        taps = values["pyramid.interpolation.weight"]

        def finer(features: Floats, size: Shape, octave: int) -> Floats:
            return upsampled(False, features, taps if taps.ndim == 1 else taps[octave], shape=size)[0]

        return interpolated_windows(parts, windows, shape, finest, 0, finer, np.concatenate)

    def _synthesis(self, values: Values, features: Floats) -> Floats:
        """See CircuitSynthesis and ReluSynthesis: (grids, pixels) -> (out_features, pixels)."""
        if self._architecture["synthesis"] == "circuit":
            matrix, constant = linear_readout(values, "synthesis.readout", self.ansatz)
            names = "synthesis.embedding", "synthesis.circuit"
            scale = float(self._architecture["angle_scale"])
            observed = circuit(values, names, self.ansatz, features.T, matrix, 1.0, scale)
            return (observed + constant).T
        hidden = of_columns(values, "synthesis.hidden", features)
        units = np.maximum(hidden, 0, out=hidden)
        return of_columns(values, "synthesis.readout", units)


def _taps_shape(architecture: Mapping[str, Any]) -> Shape:
    """Of the interpolation; see quinr_pl.network.latent.pyramid.Upsampling."""
    coarsest = int(architecture["finest"]) + int(architecture["grids"]) - 1
    return (filters_of_doublings(coarsest), TAPS) if architecture["upsampling"] == "own" else (TAPS,)


def circuit_parameters(ansatz: Ansatz, in_features: int, out_features: int) -> int:
    """Weights of a CircuitSynthesis."""
    embedding = ansatz.features_count * (in_features + 1)
    return embedding + math.prod(ansatz.weights_shape) + out_features * (ansatz.states + 1)


def twin_width(ansatz: Ansatz, in_features: int, out_features: int) -> int:
    """Hidden units with which a ReluSynthesis has as many weights as a CircuitSynthesis, to the nearest."""
    weights = circuit_parameters(ansatz, in_features, out_features) - out_features
    return max(1, round(weights / (in_features + 1 + out_features)))


def _ansatz(architecture: Mapping[str, Any]) -> Ansatz:
    """The circuit of an architecture."""
    sizes = {name: architecture[name] for name in ("qubits", "angles", "uploads", "layers", "pairs")}
    return Ansatz(**sizes, features="own")
