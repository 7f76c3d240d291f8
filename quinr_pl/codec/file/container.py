"""The container: magic, version, header, typed sections, CRC-32; see docs/format.md."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from quinr_pl.errors import QuinrError

MAGIC = b"QNR"
VERSION = 1
OPTIONAL = 0x80
"""Bit of a section's type byte: a decoder that doesn't know the section skips it."""
MOST_SECTIONS = 256
"""Of a file; the smallest take two bytes, so that their number bounds time and memory."""
_CRC_BYTES = 4
_MAX_VARINT_BYTES = 5


class BitstreamError(QuinrError):
    """A file that is no valid ``.quinr`` file, or that asks for more than the decoder's limits allow."""


@dataclass(frozen=True)
class Section:
    """One typed part of a file.

    Args:
        type: 1 to 127.
        payload: Bytes of the section, without type and length.
        optional: Whether a decoder that doesn't know the type may skip it.
    """

    type: int
    payload: bytes
    optional: bool = False


class Writer:
    """Bytes of numbers, appended one after another."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def byte(self, value: int) -> None:
        """An unsigned byte."""
        self._parts.append(value)

    def varint(self, value: int) -> None:
        """An unsigned integer below 2**32 as LEB128: seven bits a byte, the lowest first."""
        if not 0 <= value < 1 << 32:
            raise ValueError(f"varint {value}")
        while value >= 0x80:
            self._parts.append(value & 0x7F | 0x80)
            value >>= 7
        self._parts.append(value)

    def signed_varint(self, value: int) -> None:
        """A varint that means 0, -1, 1, -2, ... by 0, 1, 2, 3, ..."""
        self.varint(2 * value if value >= 0 else -2 * value - 1)

    def float32(self, value: float) -> None:
        """An IEEE 754 single, little-endian."""
        self._parts += struct.pack("<f", value)

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._parts += data

    def getvalue(self) -> bytes:
        """All that was written."""
        return bytes(self._parts)


class Reader:
    """Numbers of bytes, each read checked against the end.

    Args:
        data: What to read.
        what: Name of the part, for messages.
    """

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        self._data = memoryview(data)
        self.what = what
        self.position = 0

    @property
    def remaining(self) -> int:
        """Number of bytes that are left."""
        return len(self._data) - self.position

    def raw(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.remaining:
            raise BitstreamError(f"{self.what} is cut: {count} bytes expected, {self.remaining} left")
        self.position += count
        return bytes(self._data[self.position - count : self.position])

    def byte(self) -> int:
        """An unsigned byte."""
        return self.raw(1)[0]

    def varint(self) -> int:
        """A LEB128 integer below 2**32 in its shortest form."""
        value = 0
        for index in range(_MAX_VARINT_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if value >= 1 << 32 or (index and byte == 0):
                    break
                return value
        raise BitstreamError(f"{self.what} holds a malformed integer at byte {self.position}")

    def signed_varint(self) -> int:
        """What ``Writer.signed_varint`` wrote."""
        value = self.varint()
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def float32(self) -> float:
        """An IEEE 754 single, little-endian; neither infinite nor NaN."""
        (value,) = struct.unpack("<f", self.raw(4))
        if value - value != 0:
            raise BitstreamError(f"{self.what} holds a number that is not finite at byte {self.position}")
        return value

    def end(self) -> None:
        """Check that nothing is left."""
        if self.remaining:
            raise BitstreamError(f"{self.what} has {self.remaining} bytes too many")


def write_section(writer: Writer, section: Section) -> None:
    """Append a section: type, length and payload."""
    writer.byte(section.type | (OPTIONAL if section.optional else 0))
    writer.varint(len(section.payload))
    writer.raw(section.payload)


def pack(header: bytes, sections: list[Section]) -> bytes:
    """A file of a header and sections."""
    writer = Writer()
    writer.raw(MAGIC)
    writer.byte(VERSION)
    writer.raw(header)
    return _closed(writer, sections)


def pack_sections(sections: list[Section]) -> bytes:
    """A frame that is told by another one: its sections alone."""
    return _closed(Writer(), sections)


def _closed(writer: Writer, sections: list[Section]) -> bytes:
    for section in sections:
        write_section(writer, section)
    body = writer.getvalue()
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(data: bytes) -> Reader:
    """What lies between the version and the checksum of a file whose frame and checksum are right.

    Returns:
        A reader at the header.

    Raises:
        BitstreamError: If it is no ``.quinr`` file, of an unknown version, or damaged.
    """
    head = len(MAGIC) + 1
    if data[: len(MAGIC)] != MAGIC or len(data) < head:
        raise BitstreamError("not a .quinr file (the first bytes are not 'QNR')")
    if data[head - 1] != VERSION:
        raise BitstreamError(
            f"version {data[head - 1]} of the .quinr format; this decoder reads version {VERSION}: "
            "decode it with a newer quinr-pl"
        )
    if len(data) < head + _CRC_BYTES:
        raise BitstreamError("the file is cut: no room for a checksum")
    return Reader(check_sum(data)[head:], "the header")


def unpack_sections(data: bytes) -> Reader:
    """What ``pack_sections`` wrote, if its checksum is right.

    Raises:
        BitstreamError: If it is not.
    """
    return Reader(check_sum(data), "the section list")


def check_sum(data: bytes) -> memoryview:
    """What lies before a checksum that is right.

    Raises:
        BitstreamError: If it is not, or there is no room for one.
    """
    body, stored = memoryview(data)[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if struct.pack("<I", zlib.crc32(body)) != stored:
        raise BitstreamError("the checksum does not match: the file is damaged or cut; get a fresh copy")
    return body


def split_sections(reader: Reader) -> list[Section]:
    """The sections, from a reader behind the header.

    Raises:
        BitstreamError: If they do not fill the rest, or are too many.
    """
    reader.what = "the section list"
    sections: list[Section] = []
    while reader.remaining:
        if len(sections) == MOST_SECTIONS:
            raise BitstreamError(f"{reader.what} has more than {MOST_SECTIONS} sections")
        kind = reader.byte()
        payload = reader.raw(reader.varint())
        sections.append(Section(kind & ~OPTIONAL, payload, bool(kind & OPTIONAL)))
    return sections
