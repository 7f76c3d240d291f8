"""The header's signal: kind, channels, shape and range."""

from __future__ import annotations

from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.errors import QuinrError
from quinr_pl.signals import SignalKind, SignalSpec

_RANGE_FLAG = 0x08
_CHANNELS_ESCAPE = 15
_MOST_CHANNELS, _MOST_VALUES = 1 << 16, 1 << 40
_KIND_RANGE = {
    SignalKind.IMAGE_8: (0.0, 255.0),
    SignalKind.IMAGE_16: (0.0, 65535.0),
    SignalKind.RANGE_IMAGE: (0.0, 80.0),
    SignalKind.ARRAY: (0.0, 1.0),
}


def write_signal(writer: Writer, spec: SignalSpec) -> None:
    """Append kind, channels, height, width and, where it is not the kind's usual one, the range."""
    if spec.channels > _MOST_CHANNELS:
        raise QuinrError(f"signal of {spec.channels} channels: at most {_MOST_CHANNELS} fit a file")
    usual = (spec.low, spec.high) == _KIND_RANGE[spec.kind]
    channels = min(spec.channels, _CHANNELS_ESCAPE)
    writer.byte(channels << 4 | (0 if usual else _RANGE_FLAG) | spec.kind)
    if channels == _CHANNELS_ESCAPE:
        writer.varint(spec.channels)
    writer.varint(spec.height)
    writer.varint(spec.width)
    if not usual:
        writer.float32(spec.low)
        writer.float32(spec.high)


def read_signal(reader: Reader) -> SignalSpec:
    """What ``write_signal`` wrote.

    Raises:
        BitstreamError: If the kind is unknown, a size 0 or the range empty.
    """
    first = reader.byte()
    kind_number, channels = first & 0x07, first >> 4
    if kind_number not in list(SignalKind):
        raise BitstreamError(f"signal kind {kind_number} is unknown")
    kind = SignalKind(kind_number)
    if channels == _CHANNELS_ESCAPE:
        channels = reader.varint()
        if channels > _MOST_CHANNELS:
            raise BitstreamError(f"{channels} channels are more than {_MOST_CHANNELS}")
    height, width = reader.varint(), reader.varint()
    if height * width * channels > _MOST_VALUES:
        raise BitstreamError(f"{height} x {width} x {channels} values are more than 2**40")
    low, high = _KIND_RANGE[kind]
    if first & _RANGE_FLAG:
        low, high = reader.float32(), reader.float32()
    try:
        return SignalSpec(kind, height, width, channels, low, high)
    except QuinrError as error:
        raise BitstreamError(str(error)) from None
