"""Frames with the weights of the one before, and latents of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import independent_decoder
import numpy as np
import pytest
import torch

from quinr_pl.callbacks import FollowingFrame
from quinr_pl.codec import BitstreamError, Frames, Nearest, QuantizedNetwork, decode, decompress, encode
from quinr_pl.codec.file.container import Section, pack_sections
from quinr_pl.codec.file.frame_list import pack_frames
from quinr_pl.network import COIN, LatentQuINR
from quinr_pl.signals import IMAGE_8, ReferenceFrame, SignalSpec

SPEC = SignalSpec(IMAGE_8, (9, 14), 3, 0.0, 255.0)
ANEW = 11


def first_frame() -> QuantizedNetwork:
    torch.manual_seed(1)
    network = LatentQuINR(2, 3, *SPEC.shape, grids=2, qubits=2, angles=4, uploads=1)
    with torch.no_grad():
        for grid in network.integers().values():
            grid.normal_(std=2)
    return Nearest().quantize(network, SPEC)


def next_frame(reference: ReferenceFrame, seed: int, anew: bool) -> bytes:
    """With some levels moved, and latents at random or all zero."""
    following = SPEC.following(replace(reference, anew=anew))
    assert following is not None
    rng = np.random.default_rng(seed)
    quantized = reference.quantized
    tensors = {
        name: replace(tensor, levels=tensor.levels + rng.integers(-1, 2, tensor.levels.shape))
        for name, tensor in quantized.tensors.items()
    }
    integers = {
        name: rng.integers(-2, 3, values.shape) * bool(seed) for name, values in quantized.integers.items()
    }
    return encode(replace(quantized, tensors=tensors, integers=integers), following).data


def frames_of(*kinds: bool) -> list[bytes]:
    """A key frame, and one for each kind: whether its latents stand for themselves."""
    parts = [encode(first_frame(), SPEC).data]
    reference = decode(parts[0]).as_reference()
    for seed, anew in enumerate(kinds):
        parts.append(next_frame(reference, seed, anew))
        reference = decode(parts[-1], reference=reference).as_reference()
    return parts


def test_the_independent_decoder_shows_the_same() -> None:
    data = pack_frames(frames_of(True, True, False, True))
    values, others = decompress(data), independent_decoder.decode_frames(data)
    assert not np.array_equal(values[1], values[2])
    for mine, other in zip(values, others, strict=True):
        assert np.abs(mine.astype(int) - other.astype(int)).max() <= 1


def test_the_same_values_for_ever() -> None:
    """Of the file that ``frames_of`` made when section 11 was new."""
    path = Path(__file__).parents[1] / "data" / "frames" / "pictures_anew.quinr"
    values, expected = decompress(path), np.load(path.with_suffix(".npy"))
    assert [part.is_key for part in Frames(path.read_bytes()).parts] == [True, *[False] * 4]
    assert np.abs(np.stack(values).astype(int) - expected).max() <= 1


def test_latents_that_are_all_zero_do_not_become_those_of_the_frame_before() -> None:
    parts = frames_of(True)
    first = decode(parts[0])
    second = decode(parts[1], reference=first.as_reference())
    assert all(values.any() for values in first.quantized.integers.values())
    assert not any(values.any() for values in second.quantized.integers.values())


def test_wrong_sections_are_refused() -> None:
    key, frame = frames_of(True)
    twice = pack_sections([Section(ANEW, b"\1", False), Section(3, b"\1", False)])
    with pytest.raises(BitstreamError, match="section latents is there twice"):
        decode(twice, reference=decode(key).as_reference())
    without = decode(encode(Nearest().quantize(COIN(), SPEC), SPEC).data).as_reference()
    with pytest.raises(BitstreamError, match="section latents does not belong"):
        decode(frame, reference=without)


def test_a_fit_begins_with_weights_alone() -> None:
    reference = decode(frames_of()[0]).as_reference()
    held = {"spec": SPEC}

    class Data:
        spec = SPEC

        def follow(self, spec: SignalSpec) -> None:
            held["spec"] = spec

    followed = FollowingFrame.after(reference, anew=True).follow(Data())  # type: ignore[arg-type]
    assert held["spec"].reference is followed
    assert not any(values.any() for values in followed.quantized.integers.values())
    assert followed.quantized.tensors is reference.quantized.tensors
    assert any(values.any() for values in reference.quantized.integers.values())
