"""The section that says where the rays of a range image's pixels lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quinr_pl.codec.coding.mixture import LevelDecoder, LevelEncoder, low_bits
from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.sections.protocol import Content, SectionKind
from quinr_pl.errors import QuinrError
from quinr_pl.network.cost import Cost
from quinr_pl.network.decoders.protocol import NetworkFormat
from quinr_pl.signals import Scanner, SignalSpec
from quinr_pl.signals.scanner import even_elevations

_ROW, _ARRAY = 5_000, 600_000_000
_ROW_BYTES = 128
_EDGE_BITS = 7


class ScannerSection(SectionKind):
    """Elevation and height of each beam, the sector that the columns share, and what edges are.

    Args:
        edges: Whether files of the kind tell of edges.
    """

    name = "scanner"
    of_signal = True

    def __init__(self, edges: bool) -> None:
        self.edges = edges

    def belongs(self, network: NetworkFormat, spec: SignalSpec) -> bool:
        """Whether the section belongs to a file; see `SectionKind`."""
        return spec.kind.scanned

    def cost(self, network: NetworkFormat, spec: SignalSpec) -> Cost:
        """What decoding takes; see `Network.cost`."""
        return Cost(spec.shape[0] * _ROW + _ARRAY, spec.shape[0] * _ROW_BYTES)

    def unchanged(self, content: Content) -> bool:
        """Whether a frame has the rays of another; see `SectionKind`."""
        reference = content.spec.reference
        return reference is not None and reference.spec.scanner == content.spec.scanner

    def write(self, content: Content) -> bytes | None:
        """Payload of the section; see `SectionKind`."""
        scanner = content.spec.scanner
        if scanner is None or (scanner.edges is not None) != self.edges:
            return None
        return write_scanner(scanner)

    def read(self, payload: bytes, content: Content) -> Content:
        """Content with what the payload says; see `SectionKind`."""
        scanner = read_scanner(payload, content.spec.shape[0], self.edges)
        return replace(content, spec=replace(content.spec, scanner=scanner))


SCANNER_WITHOUT_EDGES, SCANNER = ScannerSection(edges=False), ScannerSection(edges=True)


def write_scanner(scanner: Scanner) -> bytes:
    """The payload: what edges are, the limits of an even field of view, the sector, and how beams differ."""
    up, down = _limits(scanner.elevations)
    writer = Writer()
    if scanner.edges is not None:
        writer.varint(scanner.edges + (scanner.firings - 1 << _EDGE_BITS))
    for number in (up, down):
        writer.signed_varint(number)
    even = Scanner.even(len(scanner.elevations), up, down)
    even = replace(even, edges=scanner.edges, firings=scanner.firings)
    if scanner == even:
        return writer.getvalue()
    for number in (scanner.start, scanner.turn):
        writer.signed_varint(number)
    if scanner == replace(even, start=scanner.start, turn=scanner.turn):
        return writer.getvalue()
    encoder = LevelEncoder()
    arrays = [_differences(scanner.elevations, even.elevations), _differences(scanner.heights, even.heights)]
    encoder.write(np.array([low_bits(levels) for levels in arrays]))
    for levels in arrays:
        encoder.write(levels, low_bits(levels))
    writer.raw(encoder.getvalue(b"\x01"))
    return writer.getvalue()


def read_scanner(payload: bytes, rows: int, edges: bool = True) -> Scanner:
    """The scanner of a payload.

    Args:
        payload: What ``write_scanner`` gave.
        rows: Of the range image.
        edges: Whether the payload tells of edges.

    Raises:
        BitstreamError: If the payload cannot come from ``write_scanner``.
    """
    reader = Reader(payload, "section scanner")
    first = reader.varint() if edges else None
    up, down = reader.signed_varint(), reader.signed_varint()
    try:
        scanner = Scanner.even(rows, up, down)
        if first is None:
            scanner = replace(scanner, edges=None)
        else:
            firings = 1 + (first >> _EDGE_BITS)
            scanner = replace(scanner, edges=first & (1 << _EDGE_BITS) - 1, firings=firings)
        if reader.remaining:
            scanner = replace(scanner, start=reader.signed_varint(), turn=reader.signed_varint())
        if reader.remaining:
            decoder = LevelDecoder(reader.raw(reader.remaining), "scanner")
            shifts = decoder.read(2)
            if shifts.min() < 0 or shifts.max() > 7:
                raise BitstreamError("section scanner is malformed: a number of low bits is out of range")
            elevations, heights = (np.cumsum(decoder.read(rows, int(shift))) for shift in shifts)
            if decoder.rest() != b"\x01":
                raise BitstreamError("section scanner is malformed: it holds more than the beams")
            elevations = elevations + np.array(scanner.elevations)
            scanner = replace(scanner, elevations=tuple(elevations.tolist()), heights=tuple(heights.tolist()))
    except BitstreamError:
        raise
    except QuinrError as error:
        raise BitstreamError(f"section scanner is malformed: {error}") from None
    return scanner


def _limits(elevations: Sequence[int]) -> tuple[int, int]:
    """Limits of the field of view whose even rows the elevations are, or come near to."""
    rows = len(elevations)
    first, last = elevations[0], elevations[-1]
    half = (first - last) // (2 * (rows - 1)) if rows > 1 else 1
    # The limits in whole units next to that; rows that came of such limits find them again.
    around = [(first + half + a, last - half - b) for a in range(-1, 3) for b in range(-1, 3)]
    even = (limits for limits in around if even_elevations(rows, *limits) == tuple(elevations))
    return next(even, around[5])


def _differences(values: Sequence[int], even: Sequence[int]) -> np.ndarray:
    """How far each value is from the even one, less how far the one before it is."""
    return np.diff(np.array(values, dtype=np.int64) - np.array(even, dtype=np.int64), prepend=0)
