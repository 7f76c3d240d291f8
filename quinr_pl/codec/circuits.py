"""The circuits of a decoded file, for whoever runs them otherwise than the decoder does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.circuit.engines.registry import EngineLike, choose
from quinr_pl.codec.decoding import DecodedSignal
from quinr_pl.codec.device_values import reconstruction_on
from quinr_pl.codec.devices import find_device
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.layers.quantum_layer import QuantumLayer


def with_engine(
    decoded: DecodedSignal, engine: EngineLike, device: str = "cpu"
) -> tuple[DecodedSignal, Engine]:
    """A decoded file whose circuits are run by an engine, such as one with finitely many measurements.

    Args:
        decoded: As `decode` gives it, which computes exactly; it is left as it is.
        engine: An engine or its description; see `make_engine`. An exact one leaves its place to the fastest.
        device: Where the network runs; see `quinr_pl.codec.devices.find_device`.

    Returns:
        The file, with another reconstruction; and the engine, which counts what it runs.

    Raises:
        QuinrError: If there is no such engine or device, one cannot serve the other, or the network has no
            circuit.
    """
    network, layers = _circuits_of(decoded)
    device = find_device(device)
    chosen = choose(engine, device)
    for layer in layers:
        layer.engine = chosen
    return decoded.computed_by(reconstruction_on(network, decoded, device)), chosen


def trained_circuits(decoded: DecodedSignal) -> list[tuple[Ansatz, npt.NDArray[np.float32]]]:
    """Each circuit of a file, in the order in which a coordinate meets them, with its rotations in radians.

    Raises:
        QuinrError: If the network has no circuit.
    """
    _, layers = _circuits_of(decoded)
    return [(layer.ansatz, layer.weight.detach().numpy()) for layer in layers]


def angles_at(decoded: DecodedSignal, pixel: Sequence[int]) -> list[npt.NDArray[np.float32]]:
    """Embedding angles of each circuit at a pixel, in radians: arrays of shape (ansatz.features_count,).

    Args:
        decoded: As `decode` gives it.
        pixel: Its index along each axis of the signal, from 0.

    Raises:
        QuinrError: If there is no such pixel, or the network has no circuit.
    """
    spec = decoded.spec
    if len(pixel) != len(spec.shape) or not all(0 <= i < n for i, n in zip(pixel, spec.shape, strict=False)):
        size = " x ".join(map(str, spec.shape))
        raise QuinrError(
            f"--pixel {','.join(map(str, pixel))}: {decoded.name} has {size} pixels; give an index from 0 "
            "for each axis, such as 0,0"
        )
    network, layers = _circuits_of(decoded)
    network.requires_grad_(False)
    seen = [_Seen() for _ in layers]
    for layer, engine in zip(layers, seen, strict=True):
        layer.engine = engine
    position = int(np.ravel_multi_index(tuple(pixel), spec.shape))
    start, stop = (0, spec.pixels) if network.whole_signal else (position, position + 1)
    with torch.enable_grad():  # without gradients networks cut the signal into bands that overlap
        network.signal(start, stop, spec.shape)
    return [engine.angles[position - start].numpy() for engine in seen]


class _Seen(Engine):
    """Computes exactly, and keeps the angles of its last call."""

    name = "seen"
    exact = False  # so that it is not replaced
    angles: Tensor

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        self.angles = angles
        return choose("auto").probabilities(ansatz, angles, weights, states)


def _circuits_of(decoded: DecodedSignal) -> tuple[Network, list[QuantumLayer]]:
    """A network of the file's, which is the caller's own, and its circuits."""
    network = replace(decoded).network  # the file's keeps its engine
    if layers := network.quantum_layers():
        return network, layers
    raise QuinrError(
        f"{decoded.name}: its {network.network_name()} has no quantum circuit; give a file of one that has"
    )
