"""From a quantized network to the bytes of a file."""

from __future__ import annotations

from dataclasses import dataclass

from quinr_pl.codec.architecture import write_network, write_signal
from quinr_pl.codec.bitstream import Writer, pack
from quinr_pl.codec.quantization import QuantizedNetwork, layers
from quinr_pl.codec.weight_section import write_weights
from quinr_pl.errors import QuinrError
from quinr_pl.signal import SignalSpec


@dataclass(frozen=True)
class EncodedSignal:
    """A file.

    Args:
        data: Its bytes.
        sections: Bytes of each part; they add up to the file's size.
    """

    data: bytes
    sections: dict[str, int]


def encode(quantized: QuantizedNetwork, spec: SignalSpec) -> EncodedSignal:
    """The file of a quantized network: the same bytes for the same levels, on every machine.

    Raises:
        QuinrError: If the format cannot hold the network or it doesn't fit the signal.
    """
    network = quantized.network
    if network.out_features != spec.channels:
        raise QuinrError(
            f"network of {network.out_features} outputs for a signal of {spec.channels} channels"
        )
    header = Writer()
    write_signal(header, spec)
    signal_bytes = len(header.getvalue())
    write_network(header, network)
    section = write_weights(quantized.tensors)
    data = pack(header.getvalue(), [section])
    codes = len(layers(quantized.tensors))
    return EncodedSignal(
        data, bytes_by_part(data, signal_bytes, len(header.getvalue()), len(section.payload), codes)
    )


def bytes_by_part(data: bytes, signal: int, header: int, weights: int, codes: int) -> dict[str, int]:
    """Where the bytes of a file go.

    Args:
        data: The file.
        signal: Size of the signal's description in the header.
        header: Size of the header.
        weights: Size of the payload of the weights section.
        codes: Number of layers, each with a step size code; how far rows are from it counts as weights.
    """
    return {
        "container": len(data) - header - weights,
        "signal": signal,
        "architecture": header - signal,
        "step_sizes": codes,
        "weights": weights - codes,
    }
