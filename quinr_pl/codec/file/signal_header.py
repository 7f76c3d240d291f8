"""The header's signal: kind, channels, shape and range."""

from __future__ import annotations

import math

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.file.fields import read_fields, write_fields
from quinr_pl.errors import QuinrError
from quinr_pl.signals import KINDS, MOST_AXES, SignalKind, SignalSpec

_RANGE_FLAG = 0x08
_KIND_ESCAPE, _CHANNELS_ESCAPE = 7, 15
_MOST_CHANNELS, _MOST_VALUES = 1 << 16, 1 << 40


def write_signal(writer: Writer, spec: SignalSpec) -> None:
    """Append kind, channels, size of each axis, the range where it is not the usual one, and attributes."""
    if spec.channels > _MOST_CHANNELS:
        raise QuinrError(f"signal of {spec.channels} channels: at most {_MOST_CHANNELS} fit a file")
    if len(spec.shape) > MOST_AXES:
        raise QuinrError(f"signal of {len(spec.shape)} axes: at most {MOST_AXES} fit a file")
    usual = (spec.low, spec.high) == spec.kind.usual_range
    kind, channels = min(spec.kind.code, _KIND_ESCAPE), min(spec.channels, _CHANNELS_ESCAPE)
    writer.byte(channels << 4 | (0 if usual else _RANGE_FLAG) | kind)
    if kind == _KIND_ESCAPE:
        writer.varint(spec.kind.code)
    if channels == _CHANNELS_ESCAPE:
        writer.varint(spec.channels)
    if spec.kind.axes is None:
        writer.varint(len(spec.shape))
    for size in spec.shape:
        writer.varint(size)
    if not usual:
        writer.float32(spec.low)
        writer.float32(spec.high)
    if spec.kind.FIELDS:
        write_fields(spec.kind.FIELDS, writer, spec.attributes)


def read_signal(reader: Reader) -> SignalSpec:
    """What ``write_signal`` wrote.

    Raises:
        BitstreamError: If the kind is unknown, a size 0, the range empty or an attribute out of bounds.
    """
    first = reader.byte()
    code, channels = first & 0x07, first >> 4
    if code == _KIND_ESCAPE:
        code = reader.varint()
    kind = KINDS.find(code)
    if kind is None:
        raise BitstreamError(f"signal kind {code} is unknown")
    if channels == _CHANNELS_ESCAPE:
        channels = reader.varint()
        if channels > _MOST_CHANNELS:
            raise BitstreamError(f"{channels} channels are more than {_MOST_CHANNELS}")
    shape = _read_shape(reader, kind)
    if math.prod(shape) * channels > _MOST_VALUES:
        sizes = " x ".join(map(str, (*shape, channels)))
        raise BitstreamError(f"{sizes} values are more than 2**40")
    low, high = kind.usual_range
    if first & _RANGE_FLAG:
        low, high = reader.float32(), reader.float32()
    try:
        attributes = read_fields(kind.FIELDS, reader) if kind.FIELDS else {}
    except BitstreamError as error:
        raise BitstreamError(f"{kind.name}, {error}") from None
    try:
        return SignalSpec(kind, shape, channels, low, high, attributes=attributes)
    except QuinrError as error:
        raise BitstreamError(str(error)) from None


def _read_shape(reader: Reader, kind: SignalKind) -> tuple[int, ...]:
    axes = reader.varint() if kind.axes is None else len(kind.axes)
    if axes > MOST_AXES:
        raise BitstreamError(f"{axes} axes are more than {MOST_AXES}")
    return tuple(reader.varint() for _ in range(axes))
