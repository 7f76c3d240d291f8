"""From a quantized network to the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quinr_pl.codec import entropy_coding, latent_section
from quinr_pl.codec.architecture import write_network, write_signal
from quinr_pl.codec.bitstream import Section, SectionType, Writer, pack
from quinr_pl.codec.quantization import QuantizedNetwork
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
    codes = quantized.layer_codes()
    levels = [tensor.levels.ravel() for tensor in quantized.tensors.values()]
    weights = entropy_coding.encode(levels, bottom=codes)
    payloads = {SectionType.WEIGHTS: weights}
    if quantized.latents:
        payloads[SectionType.LATENTS] = latent_section.write(quantized)
    data = pack(header.getvalue(), [Section(kind, payload) for kind, payload in payloads.items()])
    return EncodedSignal(
        data, bytes_by_part(data, signal_bytes, len(header.getvalue()), payloads, len(codes))
    )


def bytes_by_part(
    data: bytes, signal: int, header: int, payloads: Mapping[SectionType, bytes], codes: int
) -> dict[str, int]:
    """Where the bytes of a file go.

    Args:
        data: The file.
        signal: Size of the signal's description in the header.
        header: Size of the header.
        payloads: Of the sections, by type.
        codes: Number of step sizes.
    """
    weights = len(payloads[SectionType.WEIGHTS])
    parts = {
        "container": len(data) - header - sum(map(len, payloads.values())),
        "signal": signal,
        "architecture": header - signal,
        "step_sizes": codes,
        "weights": weights - codes,
    }
    if SectionType.LATENTS in payloads:
        parts["latents"] = len(payloads[SectionType.LATENTS])
    return parts
