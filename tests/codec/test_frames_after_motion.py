"""Frames that add to what the frame before shows from where the scanner has moved to, without any fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import independent_decoder
import numpy as np
import pytest
import torch

from quinr_pl.codec import BitstreamError, Frames, Nearest, QuantizedNetwork, decode, decompress, encode
from quinr_pl.codec.file.container import Section, Writer, pack_sections
from quinr_pl.codec.file.frame_list import pack_frames
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, LatentQuINR
from quinr_pl.signals import RANGE_IMAGE, Motion, ReferenceFrame, Scanner, SignalSpec

HEIGHT, WIDTH = 8, 30
ROUND = replace(Scanner.even(HEIGHT, 300, -2500), heights=(20, 15, 20, 10, 10, 5, 0, -20))
SECTOR = replace(ROUND, start=4500, turn=-9000)
MOTIONS = [Motion((20, -45, 130), (90, -15, 3)), Motion((-300, 200, -1000), (-170, 40, -12))]


def spec_of(scanner: Scanner, channels: int = 1) -> SignalSpec:
    mask = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) % 11 > 2
    return SignalSpec(RANGE_IMAGE, (HEIGHT, WIDTH), channels, 1.0, 60.0, mask, scanner)


def network_of(channels: int = 1) -> LatentQuINR:
    """With smooth values in the middle of the range."""
    torch.manual_seed(1)
    network = LatentQuINR(2, channels, HEIGHT, WIDTH, grids=2, qubits=2, angles=4, uploads=1)
    with torch.no_grad():
        for grid in network.integers().values():
            grid.normal_(std=2)
        network.filters[0].bias.fill_(0.2)
    return network


def latents_of(quantized: QuantizedNetwork, seed: int) -> QuantizedNetwork:
    rng = np.random.default_rng(seed)
    integers = {name: rng.integers(-1, 2, values.shape) for name, values in quantized.integers.items()}
    if seed == 0:
        integers["pyramid.grids.0"][:] = 0
    return replace(quantized, integers=integers)


def frames_of(spec: SignalSpec) -> list[bytes]:
    """A key frame and one for each motion."""
    quantized = Nearest().quantize(network_of(spec.channels), spec)
    parts = [encode(quantized, spec).data]
    decoded = decode(parts[0])
    for seed, motion in enumerate(MOTIONS):
        following = spec.following(decoded.as_reference())
        assert following is not None
        following = replace(following, motion=motion)
        parts.append(encode(latents_of(quantized, seed), following).data)
        decoded = decode(parts[-1], reference=following.reference)
        assert decoded.spec.motion == motion
    return parts


@pytest.mark.parametrize("spec", [spec_of(ROUND), spec_of(SECTOR), spec_of(ROUND, 2)])
def test_the_independent_decoder_shows_the_same(spec):
    data = pack_frames(frames_of(spec))
    values, others = decompress(data), independent_decoder.decode_frames(data)
    assert not np.array_equal(values[0], values[1])
    for mine, other in zip(values, others, strict=True):
        # A pixel at a rim may take its value from the other side where single precision decides it.
        assert np.mean(np.abs(mine - other) > 0.02) < 0.01


def test_the_same_values_for_ever():
    """Of the file that ``frames_of`` made when section 10 was new."""
    path = Path(__file__).parents[1] / "data" / "frames" / "scans_after_motion.quinr"
    values, expected = decompress(path), np.load(path.with_suffix(".npy"))
    assert [part.is_key for part in Frames(path.read_bytes()).parts] == [True, False, False]
    for mine, other in zip(values, expected, strict=True):
        assert np.array_equal(mine == 0, other == 0)
        assert np.mean(np.abs(mine - other) > 0.02) < 0.01


def test_random_access_equals_decoding_in_order():
    data = pack_frames(frames_of(spec_of(ROUND)))
    in_order, frames = decompress(data), Frames(data)
    for number in (2, 0, 1, 2):
        assert np.array_equal(frames[number].reconstruct(), in_order[number])


def test_without_motion_and_latents_a_frame_is_the_one_before():
    spec = spec_of(ROUND)
    quantized = Nearest().quantize(network_of(), spec)
    first = decode(encode(quantized, spec).data)
    following = spec.following(first.as_reference())
    assert following is not None
    zeros = {name: np.zeros_like(values) for name, values in quantized.integers.items()}
    data = encode(replace(quantized, integers=zeros), replace(following, motion=Motion())).data
    again = decode(data, reference=following.reference)
    np.testing.assert_allclose(again.reconstruct(), first.reconstruct(), atol=1e-3)
    assert len(data) == 2 + 6 + 1 + 4  # type and length of the section, motion, grids, checksum


def test_a_network_adds_to_what_is_predicted():
    network = network_of()
    predicted = torch.linspace(0.1, 0.9, HEIGHT * WIDTH)[:, None]
    follower = network_of()
    follower.follow({n: p.detach().numpy() for n, p in network.named_parameters()}, predicted.numpy())
    with torch.no_grad():
        for grid in follower.integers().values():
            grid.zero_()
        assert torch.allclose(follower.signal(0, HEIGHT * WIDTH, (HEIGHT, WIDTH)), predicted, atol=1e-6)
        assert torch.allclose(follower.signal(7, 70, (HEIGHT, WIDTH)), predicted[7:70], atol=1e-6)
    targets = torch.rand(HEIGHT * WIDTH, 1)
    targets[5] = torch.nan
    coordinates = torch.zeros(HEIGHT * WIDTH, 2)
    _, figures = follower.loss(coordinates, targets, 1.0)
    follower.loss(coordinates, targets, 0.5)[0].backward()
    trained = {name for name, parameter in follower.named_parameters() if parameter.grad is not None}
    assert trained == follower.integers().keys()
    error = (predicted - targets).square().nansum() / len(targets)
    assert float(figures["mse"]) == pytest.approx(float(error))


def test_networks_of_coordinates_are_told_by_their_weights_alone():
    network = COIN(out_features=1)
    values = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    with pytest.raises(QuinrError, match="COIN: its values cannot be told by those of another"):
        network.follow(values, np.zeros((4, 1), np.float32))


@pytest.mark.parametrize(
    ("numbers", "grids", "told"),
    [
        ((0, 0, 0, 10001, 0, 0), 0, "motion with a translation"),
        ((0, -18001, 0, 0, 0, 0), 0, "motion with a rotation"),
        ((0,) * 6, 4, "it tells of more than 2 grids"),
    ],
)
def test_what_is_out_of_range_is_no_frame(numbers, grids, told):
    parts = frames_of(spec_of(ROUND))
    reference = decode(parts[0]).as_reference()
    writer = Writer()
    for number in numbers:
        writer.signed_varint(number)
    writer.varint(grids)
    data = pack_sections([Section(10, writer.getvalue(), False)])
    with pytest.raises(BitstreamError, match=f"section latents is malformed: {told}"):
        decode(data, reference=reference)


def test_a_key_frame_has_no_motion():
    spec = spec_of(ROUND)
    with pytest.raises(BitstreamError):
        decode(frames_of(spec)[1])
    reference = ReferenceFrame(spec, decode(frames_of(spec)[0]).quantized)
    with pytest.raises(BitstreamError, match="section latents does not belong"):
        decode(frames_of(spec)[1], reference=reference)
