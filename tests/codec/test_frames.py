"""Files of several frames, made of random networks without any fit."""

from __future__ import annotations

from dataclasses import replace

import independent_decoder
import numpy as np
import pytest
import torch

from quinr_pl.codec import (
    BitstreamError,
    DecodeLimits,
    Frames,
    Nearest,
    QuantizedNetwork,
    decode,
    decompress,
    encode,
    inspect,
)
from quinr_pl.codec.file.frame_list import pack_frames
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, LatentQuINR
from quinr_pl.signals import RANGE_IMAGE, ReferenceFrame, Scanner, SignalSpec

HEIGHT, WIDTH = 8, 30
RNG = np.random.default_rng(0)


def spec_of(number: int, scanner: Scanner | None = None) -> SignalSpec:
    """A range image with a mask of its own."""
    mask = np.roll(np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) % 11 > 2, number, axis=1)
    return SignalSpec(RANGE_IMAGE, (HEIGHT, WIDTH), 1, 0.0, 80.0, mask, scanner)


def first_frame(spec: SignalSpec) -> QuantizedNetwork:
    torch.manual_seed(1)
    network = LatentQuINR(out_features=1, height=HEIGHT, width=WIDTH, grids=2, qubits=2, angles=4, uploads=1)
    with torch.no_grad():
        for grid in network.integers().values():
            grid.normal_(std=2)
    return Nearest().quantize(network, spec)


def next_frame(reference: ReferenceFrame, seed: int) -> QuantizedNetwork:
    """Some levels and latents moved."""
    rng = np.random.default_rng(seed)
    before = reference.quantized
    tensors = {
        name: replace(tensor, levels=tensor.levels + rng.integers(-1, 2, tensor.levels.shape))
        for name, tensor in before.tensors.items()
    }
    integers = {name: rng.integers(-2, 3, values.shape) for name, values in before.integers.items()}
    return QuantizedNetwork(before.network, tensors, integers)


def frames_file(count: int, key_distance: int = 3) -> tuple[bytes, list[bytes]]:
    parts: list[bytes] = []
    reference: ReferenceFrame | None = None
    for number in range(count):
        spec = spec_of(number)
        if reference is None or number % key_distance == 0:
            parts.append(encode(first_frame(spec), spec).data)
            reference = decode(parts[-1]).as_reference()
        else:
            following = spec.following(reference)
            assert following is not None
            parts.append(encode(next_frame(reference, number), following).data)
            reference = decode(parts[-1], reference=reference).as_reference()
    return pack_frames(parts), parts


def test_every_frame_comes_back_and_so_says_the_independent_decoder():
    data, parts = frames_file(5)
    frames = Frames(data)
    assert (len(frames), frames.written, frames.missing) == (5, 5, None)
    assert [part.is_key for part in frames.parts] == [True, False, False, True, False]
    values = decompress(data)
    assert isinstance(values, list)
    for number, (mine, other) in enumerate(zip(values, independent_decoder.decode_frames(data), strict=True)):
        assert np.array_equal(frames[number].spec.mask, spec_of(number).mask)
        np.testing.assert_allclose(mine, other, atol=0.02)
    assert not np.array_equal(values[0], values[1])
    assert len(parts[1]) < len(parts[0])


def test_random_access_equals_decoding_in_order():
    data, _ = frames_file(7)
    in_order = decompress(data)
    frames = Frames(data)
    for number in (5, 2, 6, 0, 4, 3, 1, -1):
        assert np.array_equal(frames[number].reconstruct(), in_order[number])
    with pytest.raises(IndexError):
        frames[7]


def test_what_does_not_change_takes_no_section():
    spec = spec_of(0, Scanner.even(HEIGHT, 300, -2500))
    quantized = first_frame(spec)
    reference = decode(encode(quantized, spec).data).as_reference()
    zeros = {name: np.zeros_like(values) for name, values in quantized.integers.items()}
    again = spec.following(reference)
    assert again is not None
    same = encode(replace(quantized, integers=zeros), again)
    assert len(same.data) == 4 == sum(same.sections.values())
    decoded = decode(same.data, reference=reference)
    assert decoded.spec.scanner == spec.scanner
    assert np.array_equal(decoded.reconstruct(), decode(encode(quantized, spec).data).reconstruct())


def test_a_frame_stands_for_itself_where_it_is_another_signal():
    spec = spec_of(0)
    reference = ReferenceFrame(spec, None)
    assert spec_of(1).following(reference) is not None
    assert replace(spec, mask=None).following(reference) is None
    assert SignalSpec(RANGE_IMAGE, (HEIGHT, WIDTH + 1), 1, 0.0, 80.0).following(reference) is None
    assert replace(spec, high=90.0).following(reference) is None
    assert spec_of(1, Scanner.even(HEIGHT, 300, -2500)).following(reference) is None


@pytest.mark.parametrize("left", [0, 1, 2, 4])
def test_of_a_cut_file_the_whole_frames_come_back(left):
    data, _ = frames_file(5)
    sizes = [part.size for part in Frames(data).parts]
    cut = data[: 5 + sum(sizes[:left]) + sizes[left] - 1]
    if left == 0:
        with pytest.raises(BitstreamError, match="x: the first of 5 frames is damaged or cut"):
            Frames(cut, "x")
        return
    frames = Frames(cut, "x")
    assert frames.missing == f"x: cut or damaged: {left} of 5 frames are whole"
    for mine, whole in zip(frames, decompress(data), strict=False):
        assert np.array_equal(mine.reconstruct(), whole)
    with pytest.raises(BitstreamError, match=f"{left} of 5 frames are whole"):
        decompress(cut)


def test_a_flipped_bit_ends_the_frames_before_it():
    data, _ = frames_file(4)
    damaged = bytearray(data)
    damaged[-20] ^= 4
    assert len(Frames(bytes(damaged))) == 3
    with pytest.raises(BitstreamError, match="too many"):
        Frames(data + b"\0")


def test_inspect_tells_the_frames():
    data, parts = frames_file(4)
    told = inspect(data)
    assert (told["frames"], told["key_frames"], told["bytes"]) == (4, [0, 3], len(data))
    assert sum(told["frame_bytes"]) + 5 == len(data)
    assert told["first_frame"] == inspect(parts[0])
    assert told["bpp"] == 8 * len(data) / (4 * HEIGHT * WIDTH)


def test_limits_hold_for_all_frames_together():
    data, _ = frames_file(4)
    with pytest.raises(BitstreamError, match="pixels; the decoder allows"):
        Frames(data, limits=replace(DecodeLimits(), pixels=4 * HEIGHT * WIDTH - 1))
    with pytest.raises(BitstreamError, match="4 frames; the decoder allows 3"):
        Frames(data, limits=replace(DecodeLimits(), frames=3))


def test_one_signal_is_a_file_of_one_frame():
    spec = spec_of(0)
    data = encode(first_frame(spec), spec).data
    frames = Frames(data)
    assert (len(frames), frames.several) == (1, False)
    assert np.array_equal(frames[0].reconstruct(), decompress(data))


def test_a_file_of_frames_is_no_file_of_one_signal():
    data, _ = frames_file(2)
    with pytest.raises(BitstreamError, match="holds several frames"):
        decode(data)


def test_a_frame_has_the_network_of_the_one_before():
    spec = spec_of(0)
    reference = decode(encode(first_frame(spec), spec).data).as_reference()
    following = spec_of(1).following(reference)
    assert following is not None
    with pytest.raises(QuinrError, match="has the network of that one"):
        encode(Nearest().quantize(COIN(out_features=1), following), following)


def test_sums_of_latents_stay_within_what_a_latent_can_be():
    spec = spec_of(0)
    quantized = first_frame(spec)
    large = {name: np.full(values.shape, 30000) for name, values in quantized.integers.items()}
    quantized = replace(quantized, integers=large)
    reference = decode(encode(quantized, spec).data).as_reference()
    following = spec.following(reference)
    assert following is not None
    data = encode(quantized, following).data
    with pytest.raises(BitstreamError, match="a sum of differences is out of range"):
        decode(data, reference=reference)
