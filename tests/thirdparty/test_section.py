"""Sections of somebody else's go along in files without a change in the package."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from quinr_pl.codec import BitstreamError, DecodeLimits, compress, decode, decompress, encode
from quinr_pl.codec.file.container import split_sections, unpack
from quinr_pl.codec.file.network_header import read_network
from quinr_pl.codec.file.signal_header import read_signal
from quinr_pl.codec.sections.protocol import SectionKind
from quinr_pl.codec.sections.registry import SECTIONS
from quinr_pl.commands.main import main
from quinr_pl.network import COIN
from quinr_pl.network.cost import Cost
from quinr_pl.signals import IMAGE_8, SignalSpec

IMAGE = SignalSpec(IMAGE_8, (6, 9), 3, 0.0, 255.0)
TINY = str(Path(__file__).parents[1] / "conf" / "tiny.yaml")


class Caption(SectionKind):
    """What an image shows, as UTF-8; a decoder may do without it."""

    name = "caption"
    optional = True

    def belongs(self, network, spec):
        return spec.kind is IMAGE_8

    def write(self, content):
        text = content.extras.get(self.name)
        return None if text is None else text.encode()

    def read(self, payload, content):
        return replace(content, extras={**content.extras, self.name: payload.decode()})


class Largest(SectionKind):
    """The largest weight in magnitude, a float32: every file has it."""

    name = "largest"

    def belongs(self, network, spec):
        return True

    required = belongs

    def cost(self, network, spec):
        return Cost(operations=10**9)

    def write(self, content):
        return struct.pack("<f", self.of(content.quantized))

    def read(self, payload, content):
        (largest,) = struct.unpack("<f", payload)
        if largest != self.of(content.quantized):
            raise BitstreamError("section largest is malformed")
        return replace(content, extras={**content.extras, self.name: largest})

    def sizes(self, payload, network):
        return {"largest_weight": len(payload)}

    @staticmethod
    def of(quantized):
        return max(float(values.abs().max()) for values in quantized.dequantize().values())


@pytest.fixture(autouse=True)
def tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SECTIONS, "_loaded", dict(SECTIONS._loaded))  # other tests go without them


@pytest.fixture
def network() -> COIN:
    torch.manual_seed(0)
    return COIN(layers=1, width=5)


def numbers(data: bytes) -> list[int]:
    reader = unpack(data)
    read_network(reader, read_signal(reader))
    return [section.type for section in split_sections(reader)]


def test_an_optional_section_is_there_where_it_is_wanted(network):
    without = compress(network, IMAGE)
    SECTIONS.register(100, Caption())
    assert compress(network, IMAGE).data == without.data
    encoded = compress(network, IMAGE, extras={"caption": "two cats"})
    assert numbers(encoded.data) == [2, 100]
    assert encoded.sections["caption"] == 8
    decoded = decode(encoded.data)
    assert decoded.extras == {"caption": "two cats"}
    assert decoded.sections == encoded.sections
    assert sum(encoded.sections.values()) == len(encoded.data)
    assert encode(decoded.quantized, decoded.spec, decoded.extras).data == encoded.data
    assert np.array_equal(decoded.reconstruct(), decompress(without.data))


def test_a_decoder_that_does_not_know_it_skips_it(network, monkeypatch):
    SECTIONS.register(100, Caption())
    data = compress(network, IMAGE, extras={"caption": "two cats"}).data
    monkeypatch.setattr(SECTIONS, "_loaded", {})
    decoded = decode(data)
    assert decoded.extras == {}
    assert "caption" not in decoded.sections
    assert np.array_equal(decoded.reconstruct(), decompress(compress(network, IMAGE).data))


def test_one_that_must_be_there_is_needed_and_counted(network, monkeypatch):
    without = compress(network, IMAGE).data
    SECTIONS.register(101, Largest())
    data = compress(network, IMAGE).data
    assert decode(data).extras["largest"] == Largest.of(decode(data).quantized)
    with pytest.raises(BitstreamError, match="section largest is missing"):
        decode(without)
    few = DecodeLimits(operations=1.8e9)
    with pytest.raises(BitstreamError, match="operations"):
        decode(data, limits=few)
    monkeypatch.setattr(SECTIONS, "_loaded", {})
    decode(without, limits=few)
    with pytest.raises(BitstreamError, match="section type 101 is unknown to this decoder"):
        decode(data)


def test_one_that_does_not_belong_is_refused(network, monkeypatch):
    SECTIONS.register(100, Caption())
    data = compress(network, IMAGE, extras={"caption": "two cats"}).data
    monkeypatch.setattr(Caption, "belongs", lambda *_: False)
    with pytest.raises(BitstreamError, match="section caption does not belong"):
        decode(data)


def test_the_commands_take_it_along(capsys):
    SECTIONS.register(101, Largest())
    Image.fromarray((np.arange(15 * 20) % 256).astype(np.uint8).reshape(15, 20)).save("in.png")
    flags = ["--config", TINY, "--trainer.max_steps", "4"]
    assert main(["compress", "in.png", "-o", "out.quinr", *flags]) == 0
    data = Path("out.quinr").read_bytes()
    assert numbers(data) == [2, 101]
    assert main(["decompress", "out.quinr", "-o", "back.png"]) == 0
    assert np.array_equal(np.asarray(Image.open("back.png")), decompress(data)[..., 0])
    capsys.readouterr()
    assert main(["inspect", "out.quinr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sections"]["largest_weight"] == 4
