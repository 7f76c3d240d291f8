"""From a quantized network to the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quinr_pl.codec.file.container import Writer, pack, pack_sections, write_section
from quinr_pl.codec.file.network_header import write_network
from quinr_pl.codec.file.signal_header import write_signal
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.sections.protocol import Content
from quinr_pl.codec.sections.registry import (
    sizes_of_sections,
    write_sections,
    write_signal_sections,
)
from quinr_pl.errors import QuinrError
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

    That of a frame that is told by another, ``spec.reference``, is a part of a file of frames.

    Args:
        quantized: Quantized network.
        spec: Shape, kind and range of the signal.
        extras: What sections of other packages are to hold, by the section's name.

    Raises:
        QuinrError: If the format cannot hold the network, or it doesn't fit the signal, or is not that of the
            frame that this one is told by.
    """
    header, signal_bytes = Writer(), 0
    if spec.reference is None:
        write_signal(header, spec)
        signal_bytes = len(header.getvalue())
        write_network(header, quantized.network, spec)
    elif quantized.network.architecture() != spec.reference.quantized.network.architecture():
        raise QuinrError("--model.network: a frame that is told by another has the network of that one")
    sections = write_sections(Content(spec, quantized, extras or {}))
    data = pack(header.getvalue(), sections) if spec.reference is None else pack_sections(sections)
    payloads = {section.type: section.payload for section in sections}
    sizes = sizes_of_sections(payloads, quantized.network)
    return EncodedSignal(data, bytes_by_part(len(data), signal_bytes, len(header.getvalue()), sizes))


def mask_bytes(spec: SignalSpec) -> int:
    """What the mask of a signal, the rays of its scanner and what intensities are take of its file."""
    writer = Writer()
    for section in write_signal_sections(spec):
        write_section(writer, section)
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
