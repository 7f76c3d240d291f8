from __future__ import annotations

import struct
import zlib

import pytest

from quinr_pl.codec.file.container import (
    BitstreamError,
    Reader,
    Section,
    Writer,
    pack,
    split_sections,
    unpack,
)
from quinr_pl.codec.sections.registry import known_payloads


def with_crc(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def test_file_by_hand() -> None:
    by_hand = with_crc(b"QNR\x01" + b"head" + b"\x01\x02\xaa\xbb" + b"\x02\xac\x02" + bytes(300))
    sections = [Section(1, b"\xaa\xbb"), Section(2, bytes(300))]
    assert pack(b"head", sections) == by_hand
    reader = unpack(by_hand)
    assert reader.raw(4) == b"head"
    assert split_sections(reader) == sections


def test_optional_section_is_skipped() -> None:
    sections = [Section(99, b"later", optional=True), Section(1, b"b")]
    assert known_payloads(split_sections(unpack(pack(b"", sections)))) == {1: b"b"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a .quinr file"),
        (b"QNR", "not a .quinr file"),
        (b"\x89PNG\r\n\x1a\n", "not a .quinr file"),
        (b"QNR\x02" + bytes(20), "version 2"),
        (b"QNR\x01ab", "cut"),
        (b"QNR\x01" + bytes(20), "checksum"),
        (pack(b"", [Section(1, b"a")]) + b"\0", "checksum"),
        (with_crc(b"QNR\x01\x01\x05abc"), "cut"),
        (with_crc(b"QNR\x01\x01\xff\xff\xff\xff\xff"), "malformed integer"),
        (with_crc(b"QNR\x01\x01\x80\x00"), "malformed integer"),
    ],
)
def test_bad_frames(data: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        split_sections(unpack(data))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([Section(1, b""), Section(99, b"")], "section type 99 is unknown"),
        ([Section(1, b""), Section(2, b"")], "weights is there twice"),
        ([Section(1, b""), Section(1, b"")], "weights is there twice"),
    ],
)
def test_bad_section_lists(sections: list[Section], message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        known_payloads(sections)


@pytest.mark.parametrize(
    ("value", "data"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (2**32 - 1, b"\xff\xff\xff\xff\x0f")]
)
def test_varint(value: int, data: bytes) -> None:
    writer = Writer()
    writer.varint(value)
    assert writer.getvalue() == data
    assert Reader(data, "test").varint() == value


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_reals_must_be_finite(value: float) -> None:
    with pytest.raises(BitstreamError, match="not finite"):
        Reader(struct.pack("<f", value), "test").float32()
