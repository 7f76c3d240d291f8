from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch

from quinr_pl.codec import (
    BitstreamError,
    DecodeLimits,
    Nearest,
    compress,
    decode,
    decompress,
    encode,
    inspect,
)
from quinr_pl.codec.file.container import pack
from quinr_pl.codec.quantized import QuantizedTensor
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, NETWORKS, CoordinateNetwork, QuINR
from quinr_pl.signals import ARRAY, IMAGE_8, IMAGE_16, RANGE_IMAGE, SignalSpec, coordinates

IMAGE = SignalSpec(IMAGE_8, (6, 9), 3, 0.0, 255.0)
NETWORK_ARGUMENTS: list[tuple[type[CoordinateNetwork], dict[str, Any]]] = [
    (QuINR, {}),
    (QuINR, {"features": "own", "omega0": 10.0, "angle_scale": 0.5, "readout": "linear"}),
    (QuINR, {"qubits": 3, "angles": 7, "pairs": "ring", "range_map": False, "shuffle_seed": 300}),
    (QuINR, {"qubits": 2, "angles": 4, "stages": 2, "stage_norm": "standardized", "omega0": 7.3}),
    (COIN, {"layers": 2, "width": 7}),
    (COIN, {"layers": 1, "width": 130, "omega0": 12.25}),
    (COIN, {"layers": 1, "width": 5, "log_range": 2}),
    (QuINR, {"qubits": 2, "angles": 4, "log_range": 16}),
]


THREE_STAGES = {
    "qubits": 5,
    "angles": 10,
    "uploads": 4,
    "layers": 1,
    "features": "own",
    "omega0": 20.0,
    "angle_scale": 0.8,
    "readout": "linear",
    "stages": 3,
    "stage_norm": "scaled",
}
NETWORK_ARGUMENTS.append((QuINR, {**THREE_STAGES, "qubits": 2}))
NETWORK_ARGUMENTS.append((QuINR, {**THREE_STAGES, "qubits": 2, "sine_layers": 3, "sine_width": 9}))


def make(kind: type[CoordinateNetwork], arguments: dict[str, Any], seed: int = 0) -> CoordinateNetwork:
    torch.manual_seed(seed)
    return kind(**arguments)


@pytest.mark.parametrize(("kind", "arguments"), NETWORK_ARGUMENTS)
def test_round_trip(kind: type[CoordinateNetwork], arguments: dict[str, Any]) -> None:
    network = make(kind, arguments)
    quantized = Nearest().quantize(network, IMAGE)
    encoded = encode(quantized, IMAGE)
    decoded = decode(encoded.data)
    assert decoded.spec == IMAGE
    assert type(decoded.network) is kind
    for key, value in network.architecture().items():
        decoded_value = decoded.network.architecture()[key]
        assert decoded_value == (pytest.approx(value, rel=1e-7) if isinstance(value, float) else value)
    for name, values in quantized.dequantize().items():
        assert torch.equal(decoded.network.get_parameter(name), values)
    assert sum(encoded.sections.values()) == len(encoded.data)
    assert decoded.sections == encoded.sections
    quantized.load_into(network)
    with torch.no_grad():
        expected = IMAGE.denormalize(network(coordinates((6, 9))).numpy()).reshape(6, 9, 3)
    np.testing.assert_array_equal(decompress(encoded.data), expected)


def test_every_argument_has_a_field() -> None:
    for kind in (NETWORKS[code] for code in NETWORKS):
        assert kind.FIELDS.keys() | kind.signal_arguments(IMAGE).keys() == kind().architecture().keys()


@pytest.mark.parametrize(("kind", "arguments"), NETWORK_ARGUMENTS)
def test_cost_bounds_the_parameters(kind: type[CoordinateNetwork], arguments: dict[str, Any]) -> None:
    network = make(kind, arguments)
    parameters = kind.cost(network.architecture()).parameters
    assert network.parameter_count() <= parameters <= network.parameter_count() + 500


@pytest.mark.parametrize("arguments", [{}, NETWORK_ARGUMENTS[1][1], THREE_STAGES])
def test_fixed_overhead_is_at_most_32_bytes(arguments: dict[str, Any]) -> None:
    spec = SignalSpec(IMAGE_8, (512, 768), 3, 0.0, 255.0)
    encoded = compress(QuINR(**arguments), spec)
    assert len(encoded.data) - encoded.sections["weights"] <= 32


@pytest.mark.parametrize(
    "spec",
    [
        SignalSpec(IMAGE_16, (1, 1), 1, 0.0, 65535.0),
        SignalSpec(RANGE_IMAGE, (64, 1024), 1, 0.0, 80.0),
        SignalSpec(RANGE_IMAGE, (3, 500), 1, 0.0, 120.0),
        SignalSpec(ARRAY, (2, 3), 20, -1.5, 2.25),
    ],
)
def test_signals(spec: SignalSpec) -> None:
    network = COIN(out_features=spec.channels, layers=1, width=4)
    decoded = decode(compress(network, spec).data)
    assert decoded.spec == spec
    values = decoded.reconstruct(block=100)
    assert values.shape == (*spec.shape, spec.channels)
    assert values.dtype == (np.uint16 if spec.kind is IMAGE_16 else np.float32)


def test_an_image_has_the_range_of_its_integers() -> None:
    for low, high in ((-1.0, 255.0), (0.0, 1e30)):
        with pytest.raises(QuinrError, match="within"):
            SignalSpec(IMAGE_8, (2, 2), 1, low, high)


def test_weights_that_overflow_are_an_error_that_names_the_file() -> None:
    network = COIN(layers=1, width=4, log_range=16)
    with torch.no_grad():
        network.output.bias.fill_(1e3)
    decoded = decode(compress(network, IMAGE).data, "photo.quinr")
    with pytest.raises(BitstreamError, match=r"^photo\.quinr: the decoded weights overflow"):
        decoded.reconstruct()


def test_progress_and_blocks() -> None:
    decoded = decode(compress(make(QuINR, {}), IMAGE).data)
    calls = []
    parts = decoded.reconstruct(block=10, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(10, 54), (20, 54), (30, 54), (40, 54), (50, 54), (54, 54)]
    np.testing.assert_array_equal(parts, decoded.reconstruct())


def test_decoding_leaves_the_random_state_alone() -> None:
    data = compress(make(COIN, {}), IMAGE).data
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    decode(data)
    assert torch.equal(torch.rand(2), expected)


def test_inspect() -> None:
    network = make(COIN, {"layers": 2, "width": 5})
    data = compress(network, IMAGE).data
    report = inspect(data)
    assert report["shape"] == [6, 9, 3]
    assert report["network"] == "COIN"
    assert report["architecture"] == network.architecture()
    assert report["parameters"] == 63
    assert report["bytes"] == len(data) == sum(report["sections"].values())
    assert report["bpp"] == 8 * len(data) / 54


def repair(data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


@pytest.fixture(scope="module")
def coin_file() -> bytes:
    # header at byte 4: kind and channels, height, width, class, mask, layers, width
    return compress(make(COIN, {"layers": 2, "width": 5}), IMAGE).data


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (4, b"\x36", "signal kind 6"),
        (4, b"\x00", "signal shape"),
        (5, b"\x00", "signal shape"),
        (7, b"\x09", "network class 9"),
        (8, b"\x08", "presence mask"),
        (9, b"\x00", "field layers: 0 lies outside"),
        (9, b"\x41", "field layers: 65 lies outside"),
        (10, b"\x80\x80\x01", "field width: 16384 lies"),
        (10, b"\x06", "section weights"),
        (10, b"\x04", "section weights"),
    ],
)
def test_bad_headers(coin_file: bytes, offset: int, value: bytes, message: str) -> None:
    data = repair(coin_file[:offset] + value + coin_file[offset + len(value) :])
    with pytest.raises(BitstreamError, match=message) as caught:
        decode(data, "photo.quinr")
    assert str(caught.value).startswith("photo.quinr: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "limits",
    [
        DecodeLimits(file_bytes=10),
        DecodeLimits(pixels=53),
        DecodeLimits(memory=1000),
        DecodeLimits(operations=1000, pixel_operations=1000),
    ],
)
def test_limits(coin_file: bytes, limits: DecodeLimits) -> None:
    with pytest.raises(BitstreamError, match="the decoder allows"):
        decode(coin_file, limits=limits)
    decode(coin_file, limits=limits.scaled(math.inf))


def test_a_file_without_weights_is_refused(coin_file: bytes) -> None:
    with pytest.raises(BitstreamError, match="section weights is missing"):
        decode(pack(coin_file[4:11], []))


def test_every_cut_and_every_flipped_bit_is_noticed(coin_file: bytes) -> None:
    for length in range(len(coin_file)):
        with pytest.raises(BitstreamError):
            decode(coin_file[:length])
    for bit in range(8 * len(coin_file)):
        damaged = bytearray(coin_file)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            decode(bytes(damaged))


def test_rows_have_step_sizes_of_their_own() -> None:
    quantized = Nearest().quantize(COIN(layers=1, width=3), IMAGE)
    tensor = quantized.tensors["hidden.0.weight"]
    codes = tensor.codes + np.array([0, 8, -4])
    quantized.tensors["hidden.0.weight"] = QuantizedTensor(tensor.levels, codes)
    decoded = decode(encode(quantized, IMAGE).data).quantized.tensors["hidden.0.weight"]
    np.testing.assert_array_equal(decoded.codes, codes)
    steps = 2 ** ((codes[:, None] - 192) / 8)
    np.testing.assert_allclose(decoded.dequantize(), tensor.levels * steps, rtol=1e-6)


def test_step_sizes_off_the_grid_of_their_layer() -> None:
    quantized = Nearest().quantize(COIN(layers=1, width=3), IMAGE)
    tensor = quantized.tensors["output.bias"]
    quantized.tensors["output.bias"] = QuantizedTensor(tensor.levels, tensor.codes - 1)
    with pytest.raises(QuinrError, match=r"layer output: step size codes .* multiples of 4"):
        encode(quantized, IMAGE)


def test_errors_of_the_encoder() -> None:
    with pytest.raises(QuinrError, match=r"--model\.network\.out_features 3: the signal needs 1"):
        compress(COIN(), SignalSpec(IMAGE_8, (2, 2), 1, 0.0, 255.0))
    with pytest.raises(QuinrError, match="width 4000: must lie between 1 and 2048"):
        COIN(layers=1, width=4000)
    diverged = COIN()
    with torch.no_grad():
        diverged.output.bias.fill_(math.nan)
    with pytest.raises(QuinrError, match=r"output\.bias is not finite"):
        compress(diverged, IMAGE)
