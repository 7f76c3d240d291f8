from __future__ import annotations

from dataclasses import replace

import independent_decoder
import numpy as np
import pytest
import torch

from quinr_pl.codec import compress, decode, encode, inspect
from quinr_pl.codec.file.container import BitstreamError, Section, Writer, pack
from quinr_pl.codec.file.encoder import mask_bytes
from quinr_pl.codec.file.network_header import write_network
from quinr_pl.codec.file.signal_header import write_signal
from quinr_pl.codec.sections.registry import SECTIONS
from quinr_pl.codec.sections.scanner import read_scanner, write_scanner
from quinr_pl.codec.sections.weights import write_weights
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.signals import IMAGE_8, RANGE_IMAGE, Scanner, SignalSpec

ROWS = 6


def beams(seed: int = 0, rows: int = ROWS) -> Scanner:
    generator = np.random.default_rng(seed)
    elevations = np.sort(generator.integers(-2500, 300, rows))[::-1]
    heights = generator.integers(-25, 25, rows)
    return Scanner(tuple(elevations.tolist()), tuple(heights.tolist()), -9000, 18000)


def with_edges(edges: int | None) -> Scanner:
    return replace(beams(), edges=edges)


def spec_of(scanner: Scanner | None) -> SignalSpec:
    mask = np.random.default_rng(1).random((ROWS, 20)) < 0.7
    return SignalSpec(RANGE_IMAGE, (ROWS, 20), 1, 0.0, 80.0, mask, scanner)


@pytest.mark.parametrize("rows", [1, 2, 16, 40, 64, 128])
@pytest.mark.parametrize(
    ("up", "down"), [(300, -2500), (200, -2480), (1500, -1500), (1067, -3067), (9000, -9000)]
)
def test_even_rows_take_few_bytes(rows, up, down):
    scanner = Scanner.even(rows, up, down)
    payload = write_scanner(scanner)
    assert len(payload) <= 7
    assert read_scanner(payload, rows) == scanner
    cropped = replace(scanner, start=-4500, turn=9000)
    assert len(write_scanner(cropped)) <= 13
    assert read_scanner(write_scanner(cropped), rows) == cropped


@pytest.mark.parametrize("rows", [1, 2, 16, 64, 128])
def test_reads_the_beams_that_it_wrote(rows):
    extremes = Scanner(tuple([9000, -9000] * rows)[:rows], tuple([10000, -10000] * rows)[:rows], 36000, -1)
    for scanner in (beams(3, rows), extremes):
        assert read_scanner(write_scanner(scanner), rows) == scanner


def test_beams_of_a_real_layout_take_a_bit_over_a_byte_each():
    elevations = [200 - round(33.3 * row) for row in range(32)] + [-880 - 50 * row for row in range(32)]
    scanner = Scanner(tuple(elevations), (20,) * 32 + (12,) * 32)
    assert len(write_scanner(scanner)) < 60


@pytest.mark.parametrize(
    "scanner",
    [
        None,
        Scanner.even(ROWS, 300, -2500),
        beams(),
        with_edges(1),
        with_edges(None),
        replace(beams(), firings=2),
        replace(with_edges(1), firings=3),
    ],
)
def test_points_of_a_file_and_of_the_independent_decoder(scanner):
    torch.manual_seed(0)
    network = COIN(out_features=1, layers=2, width=6)
    encoded = compress(network, spec_of(scanner))
    decoded = decode(encoded.data)
    assert decoded.spec.scanner == scanner
    assert encode(decoded.quantized, decoded.spec).data == encoded.data
    assert sum(encoded.sections.values()) == len(encoded.data)
    assert inspect(encoded.data)["sections"] == encoded.sections
    without = compress(network, replace(spec_of(scanner), mask=None, scanner=None))
    assert len(encoded.data) - len(without.data) == mask_bytes(decoded.spec)
    if scanner is None:
        with pytest.raises(QuinrError, match="bytes: does not say where its rays lead"):
            decoded.points()
        assert independent_decoder.points(encoded.data) is None
        return
    points = decoded.points()
    assert points.dtype == np.float32
    hanging = (decoded.reconstruct() > 0).sum() - len(points) // scanner.firings
    assert hanging > 0 if scanner.edges else hanging == 0
    np.testing.assert_allclose(points, independent_decoder.points(encoded.data), atol=0.02)


def test_a_decoder_that_does_not_know_the_section_refuses_the_file(monkeypatch):
    data = compress(COIN(out_features=1, layers=1, width=4), spec_of(beams())).data
    monkeypatch.delitem(SECTIONS._paths, 6)
    monkeypatch.delitem(SECTIONS._loaded, 6)
    with pytest.raises(BitstreamError, match="section type 6 is unknown to this decoder"):
        decode(data)


def test_malformed_payloads():
    payload = write_scanner(beams())
    cuts = [payload[:cut] for cut in (0, 1, 2, 4, 6, 8, *range(12, len(payload)))]
    for bad in (*cuts, payload + b"\0", payload + b"\x01\x02\x03\x04\x05", b"\xff\xff\xff\x0f\x00"):
        with pytest.raises(BitstreamError, match="section scanner"):
            read_scanner(bad, ROWS)
    with pytest.raises(BitstreamError, match="of no turn"):
        read_scanner(b"\x00\x00\x01\x00\x00", ROWS)
    with pytest.raises(BitstreamError, match="edges of 101 %"):
        read_scanner(b"\x65\x00\x01", ROWS)
    with pytest.raises(BitstreamError, match="17 firings"):
        read_scanner(b"\x80\x10\x00\x01", ROWS)


def test_other_signals_have_none():
    header, network = Writer(), COIN(out_features=1)
    image = SignalSpec(IMAGE_8, (ROWS, 20), 1, 0.0, 255.0)
    write_signal(header, image)
    write_network(header, network, image)
    weights = write_weights(decode(compress(network, image).data).quantized.tensors)
    for number, scanner in ((5, with_edges(None)), (6, beams())):
        data = pack(header.getvalue(), [Section(2, weights), Section(number, write_scanner(scanner))])
        with pytest.raises(BitstreamError, match="section scanner does not belong"):
            decode(data)
