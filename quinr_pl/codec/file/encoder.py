"""From a quantized network to the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quinr_pl.codec.coding import mask as mask_coding
from quinr_pl.codec.file.container import Section, Writer, pack, write_section
from quinr_pl.codec.file.network_header import write_network
from quinr_pl.codec.file.signal_header import write_signal
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.sections.protocol import Content
from quinr_pl.codec.sections.registry import sizes_of_sections, write_sections
from quinr_pl.codec.sections.scanner import write_scanner
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class EncodedSignal:
    """A signal's file and how it came about.

    Args:
        data: Bytes of the file.
        sections: Bytes of each part; they add up to the file's size.
    """

    data: bytes
    sections: dict[str, int]


def encode(
    quantized: QuantizedNetwork, spec: SignalSpec, extras: Mapping[str, Any] | None = None
) -> EncodedSignal:
    """The file of a quantized network: the same bytes for the same levels, on every machine.

    Args:
        quantized: Quantized network.
        spec: Shape, kind and range of the signal.
        extras: What sections of other packages are to hold, by the section's name.

    Raises:
        QuinrError: If the format cannot hold the network or it doesn't fit the signal.
    """
    header = Writer()
    write_signal(header, spec)
    signal_bytes = len(header.getvalue())
    write_network(header, quantized.network, spec)
    sections = write_sections(Content(spec, quantized, extras or {}))
    data = pack(header.getvalue(), sections)
    payloads = {section.type: section.payload for section in sections}
    sizes = sizes_of_sections(payloads, quantized.network)
    return EncodedSignal(data, bytes_by_part(len(data), signal_bytes, len(header.getvalue()), sizes))


def mask_bytes(spec: SignalSpec) -> int:
    """What the mask of a signal and the rays of its scanner take of its file."""
    writer = Writer()
    if spec.mask is not None:
        write_section(writer, Section(0, mask_coding.write(spec.mask)))
    if spec.scanner is not None:
        write_section(writer, Section(0, write_scanner(spec.scanner)))
    return len(writer.getvalue())


def bytes_for_rate(network: NetworkFormat, spec: SignalSpec, rate: float) -> float:
    """The size of a file that spends so many bits on each weight, all but its mask and scanner included."""
    return rate * network.parameter_count() / 8 + mask_bytes(spec)


def bytes_by_part(total: int, signal: int, header: int, sections: Mapping[str, int]) -> dict[str, int]:
    """Where the bytes of a file go.

    Args:
        total: Size of the file.
        signal: Size of the signal's description in the header.
        header: Size of the header.
        sections: Bytes of the parts of the sections' payloads.
    """
    return {
        "container": total - header - sum(sections.values()),
        "signal": signal,
        "architecture": header - signal,
        **sections,
    }
