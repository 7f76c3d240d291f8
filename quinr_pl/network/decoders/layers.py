"""Layers of coordinate networks by NumPy; those of torch are in quinr_pl/network/layers."""

from __future__ import annotations

import math

import numpy as np

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu.call import Call
from quinr_pl.network.decoders.protocol import Floats, Shape, Values


def linear(values: Values, layer: str, features: Floats) -> Floats:
    """A linear layer, (pixels, in_features) -> (pixels, out_features)."""
    result: Floats = features @ values[f"{layer}.weight"].T + values[f"{layer}.bias"]
    return result


def of_columns(values: Values, layer: str, features: Floats) -> Floats:
    """A linear layer of samples that are columns: (in_features, samples) -> (out_features, samples).

    Products are added one by one, so that no value depends on how a library deals out a matrix product.
    """
    weight, bias = values[f"{layer}.weight"], values.get(f"{layer}.bias")
    result: Floats = weight[:, :1] * features[0]
    for column, feature in zip(weight.T[1:], features[1:], strict=True):
        result += column[:, None] * feature
    if bias is not None:
        result += bias[:, None]
    return result


def sines(values: Values, layer: str, features: Floats, omega0: float) -> Floats:
    """A SIREN layer, (pixels, in_features) -> (pixels, width)."""
    weight, bias = (np.float32(omega0) * values[f"{layer}.{part}"] for part in ("weight", "bias"))
    result: Floats = np.sin(features @ weight.T + bias)
    return result


def circuit(
    values: Values,
    stage: tuple[str, str],
    ansatz: Ansatz,
    features: Floats,
    readout: Floats | None,
    omega0: float,
    angle_scale: float,
) -> Floats:
    """Embedding, circuit and combinations of probabilities; with sines in one pass.

    Args:
        values: Of all weights.
        stage: Names of the embedding and of the circuit.
        ansatz: Ansatz of the circuit.
        features: (pixels, in_features).
        readout: (out_features, 2**qubits), or None for the probabilities.
        omega0: Frequency of the embedding.
        angle_scale: What its angles are scaled by, in radians.

    Returns:
        (pixels, out_features), or (pixels, 2**qubits).
    """
    embedding, rotations = stage
    turns = values[f"{rotations}.weight"]
    if ansatz.gate_kinds.activation == "sine":
        weights = values[f"{embedding}.weight"], values[f"{embedding}.bias"]
        return Call(ansatz, omega0, angle_scale, features, *weights, turns, readout).forward(keep=False)
    factor = np.float32(angle_scale * omega0)
    weight, bias = (factor * values[f"{embedding}.{part}"] for part in ("weight", "bias"))
    embedded: Floats = features @ weight.T + bias
    if ansatz.amplitudes:
        embedded = np.exp(np.float32(0.5) * (embedded - embedded.max(1, keepdims=True)))
        embedded /= np.sqrt(np.square(embedded).sum(1, keepdims=True))
    return Call(ansatz, 1.0, 1.0, embedded, None, None, turns, readout).forward(keep=False)


def linear_readout(values: Values, layer: str, ansatz: Ansatz) -> tuple[Floats, Floats]:
    """Matrix and constant of a linear function of all probabilities: see LinearReadout.

    Returns:
        (out_features, 2**qubits) and (out_features,).
    """
    weight, bias = values[f"{layer}.weight"], values[f"{layer}.bias"]
    if ansatz.expectations:
        return weight @ ansatz.pauli_z.astype(np.float32), bias
    states = weight.shape[1]
    # In the order of torch, which adds eight numbers side by side: fits have the same constant.
    lanes = weight.reshape(len(weight), -1, min(8, states)).sum(1)
    return np.float32(states) * weight, bias - np.cumsum(lanes, axis=1)[:, -1]


def from_log_scale(values: Floats, nats: int) -> Floats:
    """See quinr_pl.network.base.from_log_scale."""
    if not nats:
        return values
    result: Floats = np.expm1(np.float32(nats) * values) / np.float32(math.expm1(nats))
    return result


def layer_shapes(name: str, in_features: int, out_features: int) -> dict[str, Shape]:
    """Shapes of a layer's weight and bias, by name."""
    return {f"{name}.weight": (out_features, in_features), f"{name}.bias": (out_features,)}


def sine_layer_shapes(name: str, in_features: int, layers: int, width: int) -> dict[str, Shape]:
    """Shapes of SIREN layers of one width that follow each other, the first on coordinates."""
    shapes: dict[str, Shape] = {}
    for index in range(layers):
        shapes |= layer_shapes(f"{name}.{index}", width if index else in_features, width)
    return shapes
