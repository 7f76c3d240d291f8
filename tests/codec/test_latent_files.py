from __future__ import annotations

import struct
import zlib
from typing import Any

import independent_decoder
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
from quinr_pl.codec.quantized import FIXED_POINT_CODES, QuantizedNetwork, QuantizedTensor
from quinr_pl.codec.sections.latents import integer_context
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, LatentQuINR
from quinr_pl.signals import IMAGE_8, SignalSpec

IMAGE = SignalSpec(IMAGE_8, (37, 22), 3, 0.0, 255.0)
CASES: list[dict[str, Any]] = [
    {},
    {"synthesis": "relu", "filters": 1, "neighbours": 5, "context_width": 3},
    {"finest": 0, "grids": 3, "qubits": 2, "angles": 5, "uploads": 1, "pairs": "ordered", "angle_scale": 0.7},
    {"finest": 2, "grids": 1, "qubits": 3, "layers": 2, "filters": 0, "neighbours": 24},
    {"finest": 0, "grids": 3, "neighbours": 8, "context_width": 9, "context_layers": 2},
    {"finest": 1, "grids": 3, "upsampling": "own"},
    {"finest": 0, "grids": 1, "upsampling": "own"},
]


def make(arguments: dict[str, Any], spec: SignalSpec = IMAGE, seed: int = 0) -> LatentQuINR:
    """A network with random weights and latents."""
    torch.manual_seed(seed)
    height, width = spec.shape
    network = LatentQuINR(out_features=spec.channels, height=height, width=width, **arguments)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "grids" in name:
                parameter.normal_(std=1.5)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("arguments", CASES)
def test_round_trip(arguments: dict[str, Any]) -> None:
    quantized = Nearest().quantize(make(arguments), IMAGE)
    encoded = encode(quantized, IMAGE)
    decoded = decode(encoded.data)
    assert quantized.integers.keys() == decoded.quantized.integers.keys()
    for name, given in quantized.integers.items():
        np.testing.assert_array_equal(given, decoded.quantized.integers[name])
    assert decoded.sections == encoded.sections
    assert sum(encoded.sections.values()) == len(encoded.data)
    assert encode(decoded.quantized, IMAGE).data == encoded.data
    expected, got = integer_context(quantized), integer_context(decoded.quantized)
    np.testing.assert_array_equal(expected.hidden_weight, got.hidden_weight)
    assert inspect(encoded.data)["network"] == "LatentQuINR"


@pytest.mark.parametrize("arguments", CASES)
def test_the_independent_decoder_agrees(arguments: dict[str, Any]) -> None:
    data = compress(make(arguments), IMAGE, Nearest(bits=9)).data
    difference = independent_decoder.decode(data) - decompress(data).astype(int)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.02


@pytest.mark.parametrize(("first", "stop"), [(0, 40), (517, 1041), (1100, 1200)])
def test_a_band_is_that_of_the_whole(first: int, stop: int) -> None:
    spec = SignalSpec(IMAGE_8, (120, 10), 3, 0.0, 255.0)
    network = make({"grids": 3}, spec)
    with torch.no_grad():
        whole = network.signal(0, 1200, (120, 10))
        torch.testing.assert_close(network.signal(first, stop, (120, 10)), whole[first:stop])


def test_a_part_of_the_signal_is_refused_in_training() -> None:
    with pytest.raises(QuinrError, match=r"--data\.batch_size"):
        make({})(torch.zeros(64, 2))


def test_mean_bits_of_training_are_those_of_the_file() -> None:
    spec = SignalSpec(IMAGE_8, (128, 128), 3, 0.0, 255.0)
    quantized = Nearest(bits=12).quantize(make({"grids": 3}, spec), spec)
    network = make({"grids": 3}, spec)
    quantized.load_into(network)
    with torch.no_grad():
        estimate = float(network.context(list(network.pyramid.grids)).sum())
    assert 8 * encode(quantized, spec).sections["latents"] == pytest.approx(estimate, rel=0.01)


def test_the_twin_has_as_many_weights() -> None:
    circuit, twin = LatentQuINR(), LatentQuINR(synthesis="relu")
    assert abs(circuit.parameter_count() - twin.parameter_count()) <= 5
    with pytest.raises(QuinrError, match="abacus"):
        LatentQuINR(synthesis="abacus")  # type: ignore[arg-type]


def test_latents_that_are_not_finite_are_refused() -> None:
    network = make({})
    with torch.no_grad():
        network.pyramid.grids[0][0, 0] = float("nan")
    with pytest.raises(QuinrError, match="latents are not finite"):
        Nearest().quantize(network, IMAGE)


def test_step_sizes_of_the_context_model_are_powers_of_two() -> None:
    quantized = Nearest().quantize(make({}), IMAGE)
    codes = {
        code
        for name, tensor in quantized.tensors.items()
        if name.startswith("context")
        for code in tensor.codes
    }
    assert all(code % 8 == 0 and FIXED_POINT_CODES[0] <= code <= FIXED_POINT_CODES[1] for code in codes)
    odd = {
        name: QuantizedTensor(tensor.levels, tensor.codes + 1)
        if name.startswith("context.hidden")
        else tensor
        for name, tensor in quantized.tensors.items()
    }
    with pytest.raises(BitstreamError, match="fixed-point"):
        encode(QuantizedNetwork(quantized.network, odd, quantized.integers), IMAGE)


def test_sections_belong_to_their_network() -> None:
    data = compress(make({}), IMAGE).data
    body = data[:-4] + b"\3\1\1"  # a second section of latents
    with pytest.raises(BitstreamError, match="twice"):
        decode(body + struct.pack("<I", zlib.crc32(body)))
    body = compress(COIN(layers=1, width=4), IMAGE).data[:-4] + b"\3\1\1"
    with pytest.raises(BitstreamError, match="does not belong"):
        decode(body + struct.pack("<I", zlib.crc32(body)))


def test_damaged_files_end_in_one_error() -> None:
    data = bytearray(compress(make({"grids": 4}), IMAGE).data)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(4, len(data) - 4, rng.integers(1, 5)):
            damaged[place] = rng.integers(256)
        body = bytes(damaged[:-4])
        try:
            decoded = decode(body + struct.pack("<I", zlib.crc32(body)), limits=DecodeLimits(pixels=1 << 16))
            decoded.reconstruct()
        except BitstreamError:
            continue
