"""From a quantized network to the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quinr_pl.codec.file.container import Section, SectionType, Writer, pack
from quinr_pl.codec.file.network_header import write_network
from quinr_pl.codec.file.signal_header import write_signal
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.sections import latents as latent_section
from quinr_pl.codec.sections import mask as mask_section
from quinr_pl.codec.sections.weights import write_weights
from quinr_pl.network import Network
from quinr_pl.network.base import layers
from quinr_pl.signals import SignalSpec


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
    header = Writer()
    write_signal(header, spec)
    signal_bytes = len(header.getvalue())
    write_network(header, network, spec)
    weights = write_weights(quantized.tensors)
    further = {}
    if quantized.integers:
        further[SectionType.LATENTS] = latent_section.write(quantized)
    if spec.mask is not None:
        further[SectionType.MASK] = mask_section.write(spec.mask)
    sections = [weights, *(Section(kind, payload) for kind, payload in further.items())]
    data = pack(header.getvalue(), sections)
    codes = len(layers(quantized.tensors))
    header_bytes = len(header.getvalue())
    return EncodedSignal(
        data, bytes_by_part(data, signal_bytes, header_bytes, len(weights.payload), codes, further)
    )


def mask_bytes(spec: SignalSpec) -> int:
    """What the mask of a signal takes of its file."""
    if spec.mask is None:
        return 0
    section = Writer()
    section.varint(size := len(mask_section.write(spec.mask)))
    return 1 + len(section.getvalue()) + size


def bytes_for_rate(network: Network, spec: SignalSpec, rate: float) -> float:
    """The size of a file that spends so many bits on each weight, all but its mask included."""
    return rate * network.parameter_count() / 8 + mask_bytes(spec)


def bytes_by_part(
    data: bytes, signal: int, header: int, weights: int, codes: int, further: Mapping[SectionType, bytes]
) -> dict[str, int]:
    """Where the bytes of a file go.

    Args:
        data: The file.
        signal: Size of the signal's description in the header.
        header: Size of the header.
        weights: Size of the payload of the weights section.
        codes: Number of layers, each with a step size code; how far rows are from it counts as weights.
        further: Payloads of the sections latents and mask, where they are.
    """
    more = {kind.name.lower(): len(payload) for kind, payload in further.items()}
    return {
        "container": len(data) - header - weights - sum(more.values()),
        "signal": signal,
        "architecture": header - signal,
        "step_sizes": codes,
        "weights": weights - codes,
        **more,
    }
