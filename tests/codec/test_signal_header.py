"""The header's description of signals that are no images."""

from __future__ import annotations

import math

import pytest

from quinr_pl.codec import compress, decode
from quinr_pl.codec.file.container import BitstreamError, Reader, Writer
from quinr_pl.codec.file.signal_header import read_signal, write_signal
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.signals import ARRAY, KINDS, SignalKind, SignalSpec

VOLUME = SignalKind(21, "volume", ("depth", "height", "width"), "int16", (-100.0, 400.0))
ANY = SignalKind(300, "anything", None, "float32", (0.0, 1.0))


@pytest.fixture(autouse=True)
def known_kinds(monkeypatch):
    for kind in (VOLUME, ANY):
        monkeypatch.setitem(KINDS._loaded, kind.code, kind)


def written(spec: SignalSpec) -> bytes:
    writer = Writer()
    write_signal(writer, spec)
    return writer.getvalue()


@pytest.mark.parametrize(
    ("spec", "data"),
    [
        (SignalSpec(VOLUME, (2, 3, 200), 1, -100.0, 400.0), [0x17, 21, 2, 3, 200, 1]),
        (SignalSpec(ANY, (5,), 3, 0.0, 1.0), [0x37, 300 & 127 | 128, 2, 1, 5]),
        (SignalSpec(ANY, (1, 2, 3, 4), 20, 0.0, 1.0), [0xF7, 300 & 127 | 128, 2, 20, 4, 1, 2, 3, 4]),
        (SignalSpec(ARRAY, (6, 9), 3, 0.0, 1.0), [0x33, 6, 9]),
    ],
)
def test_a_varint_for_each_axis(spec, data):
    assert list(written(spec)) == data
    assert read_signal(Reader(bytes(data), "the header")) == spec


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([0x16], "signal kind 6 is unknown"),
        ([0x17, 22], "signal kind 22 is unknown"),
        ([0x17, 300 & 127 | 128, 2, 9], "9 axes are more than 8"),
        ([0x17, 300 & 127 | 128, 2, 0], "needs at least one axis"),
        ([0x17, 21, 2, 0, 2], "every size must be at least 1"),
        ([0x17, 21, *[255, 255, 255, 255, 15] * 3], r"values are more than 2\*\*40"),
    ],
)
def test_malformed_descriptions_are_refused(data, message):
    with pytest.raises(BitstreamError, match=message):
        read_signal(Reader(bytes(data), "the header"))


def test_a_file_holds_at_most_eight_axes():
    with pytest.raises(QuinrError, match="9 axes: at most 8"):
        written(SignalSpec(ANY, (1,) * 9, 1, 0.0, 1.0))


@pytest.mark.parametrize("shape", [(1 << 28,), (1 << 10, 1 << 9, 1 << 9)])
def test_limits_count_the_pixels_of_all_axes(shape):
    network = COIN(in_features=len(shape), out_features=1, layers=1, width=4)
    data = compress(network, SignalSpec(ANY, shape, 1, 0.0, 1.0)).data
    assert math.prod(shape) == 1 << 28
    with pytest.raises(BitstreamError, match=r"asks for 2\.68e\+08 pixels; the decoder allows"):
        decode(data)
