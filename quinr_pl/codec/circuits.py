"""The circuits of a decoded file, for whoever runs them otherwise than the decoder does."""

from __future__ import annotations

from dataclasses import replace

from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.circuit.engines.registry import EngineLike, choose
from quinr_pl.codec.decoding import DecodedSignal
from quinr_pl.errors import QuinrError


def with_engine(decoded: DecodedSignal, engine: EngineLike) -> tuple[DecodedSignal, Engine]:
    """A decoded file whose circuits are run by an engine, such as one with finitely many measurements.

    Args:
        decoded: As `decode` gives it, which computes exactly; it is left as it is.
        engine: An engine or its description; see `make_engine`. An exact one leaves its place to the fastest.

    Returns:
        The file, with another reconstruction; and the engine, which counts what it runs.

    Raises:
        QuinrError: If there is no such engine, it cannot serve the CPU, or the network has no circuit.
    """
    network = replace(decoded).network  # one of its own: the file's keeps its engine
    layers = network.quantum_layers()
    if not layers:
        raise QuinrError(
            f"{decoded.name}: its {network.network_name()} has no quantum circuit that an engine could run; "
            "leave --engine out"
        )
    chosen = choose(engine)
    for layer in layers:
        layer.engine = chosen
    return replace(decoded, reconstruction=network.reconstruction(decoded.quantized.values())), chosen
