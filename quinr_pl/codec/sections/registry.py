"""The kinds of sections, and what the encoder and the decoder do with all of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from quinr_pl.codec.file.container import BitstreamError, Section
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.network.cost import Cost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.registry import Registry
from quinr_pl.signals import SignalSpec

SECTIONS: Registry[int, SectionKind] = Registry(
    "section",
    "quinr_pl.sections",
    {
        1: "quinr_pl.codec.sections.weights:WEIGHTS_BY_LAYER",
        2: "quinr_pl.codec.sections.weights:WEIGHTS",
        3: "quinr_pl.codec.sections.latents:LATENTS",
        4: "quinr_pl.codec.sections.mask:MASK",
        5: "quinr_pl.codec.sections.scanner:SCANNER_WITHOUT_EDGES",
        6: "quinr_pl.codec.sections.scanner:SCANNER",
        7: "quinr_pl.codec.sections.weight_differences:WEIGHT_DIFFERENCES",
        8: "quinr_pl.codec.sections.mask:MASK_AFTER_ANOTHER",
        9: "quinr_pl.codec.sections.intensity:INTENSITY",
        10: "quinr_pl.codec.sections.latents:LATENTS_AFTER_MOTION",
        11: "quinr_pl.codec.sections.latents:LATENTS_ANEW",
    },
)
"""Kinds by their number in files, 1 to 127; those from 64 on are free for other packages."""

Payloads = Mapping[int, bytes]
"""Of a file's sections of known kinds, by number, in the order in which they are read."""


def write_sections(content: Content) -> list[Section]:
    """The sections of a file.

    Raises:
        QuinrError: If the format cannot hold the content.
    """
    return _written(content, list(SECTIONS), content.quantized.network)


def write_signal_sections(spec: SignalSpec) -> list[Section]:
    """Those of its sections that tell of a signal alone."""
    none: Any = None
    return _written(Content(spec, none), [number for number in SECTIONS if SECTIONS[number].of_signal], none)


def _written(content: Content, numbers: Iterable[int], network: NetworkFormat) -> list[Section]:
    shortest: dict[str, Section] = {}
    for number in _in_order(numbers):
        kind = SECTIONS[number]
        if not kind.belongs(network, content.spec):
            continue
        if content.spec.reference is not None and kind.unchanged(content):
            continue
        payload = kind.write(content)
        other = shortest.get(kind.name)
        if payload is not None and (other is None or len(payload) < len(other.payload)):
            shortest[kind.name] = Section(number, payload, kind.optional)
    return list(shortest.values())


def _in_order(numbers: Iterable[int]) -> list[int]:
    """Numbers of sections in the order in which they are written and read."""
    firsts: dict[str, int] = {}
    for number in sorted(SECTIONS):
        firsts.setdefault(SECTIONS[number].name, number)
    return sorted(numbers, key=lambda number: (firsts[SECTIONS[number].name], number))


def known_payloads(sections: list[Section]) -> Payloads:
    """Payloads of the sections whose kind is known.

    Raises:
        BitstreamError: If one is there twice, or another one is unknown and not optional.
    """
    payloads: dict[int, bytes] = {}
    names: set[str] = set()
    for section in sections:
        kind = SECTIONS.find(section.type)
        if kind is None:
            if section.optional:
                continue
            raise BitstreamError(
                f"section type {section.type} is unknown to this decoder: decode it with a newer quinr-pl, "
                "or with the package that defines it"
            )
        if kind.name in names:
            raise BitstreamError(f"section {kind.name} is there twice")
        names.add(kind.name)
        payloads[section.type] = section.payload
    return {number: payloads[number] for number in _in_order(payloads)}


def check_presence(payloads: Payloads, network: NetworkFormat, spec: SignalSpec) -> None:
    """Make sure that a file has the sections that its network and signal need, and no others.

    Raises:
        BitstreamError: If one is missing, or there without belonging there.
    """
    names = {SECTIONS[number].name for number in payloads}
    for kind in (SECTIONS[number] for number in SECTIONS):
        if kind.name not in names and spec.reference is None and kind.required(network, spec):
            raise BitstreamError(f"section {kind.name} is missing")
    for kind in (SECTIONS[number] for number in payloads):
        if not kind.belongs(network, spec):
            raise BitstreamError(f"section {kind.name} does not belong to this network and signal")


def weight_payloads(payloads: Payloads) -> Payloads:
    """Of the section of the weights alone."""
    return {number: payload for number, payload in payloads.items() if SECTIONS[number].name == "weights"}


def cost_of_sections(payloads: Payloads, network: NetworkFormat, spec: SignalSpec) -> Cost:
    """What reading the sections of a file costs."""
    return sum((SECTIONS[number].cost(network, spec) for number in payloads), Cost())


def sizes_of_sections(payloads: Payloads, network: NetworkFormat) -> dict[str, int]:
    """Bytes of the parts of all payloads, by name."""
    return {
        name: size
        for number, payload in payloads.items()
        for name, size in SECTIONS[number].sizes(payload, network).items()
    }


def read_sections(payloads: Payloads, content: Content) -> Content:
    """The content with what all payloads say.

    Raises:
        BitstreamError: If one is not valid.
    """
    for number, payload in payloads.items():
        content = SECTIONS[number].read(payload, content)
    return content
