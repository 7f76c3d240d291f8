"""Rate-distortion optimized step sizes, of networks that say what a bit costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from quinr_pl.codec import Compensated, Nearest, Rounding, Searched, Stepwise, compress, decompress
from quinr_pl.codec.file.encoder import encode
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, LatentQuINR, Network
from quinr_pl.signals import IMAGE_8, SignalSpec

IMAGE = SignalSpec(IMAGE_8, (64, 64), 3, 0.0, 255.0)


def latents() -> Network:
    """A network with random weights and latents."""
    network = LatentQuINR(height=64, width=64, grids=3, rate_weight=0.01)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in network.integers():
                parameter.normal_(std=1.5)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def priced() -> Network:
    """A network without latents that would train against its rate."""
    network = COIN(layers=2, width=12)
    network.rate_weight = 0.01
    return network


def signal_of(network: Network) -> torch.Tensor:
    """What it computes: a signal of which only rounding takes anything away."""
    with torch.no_grad():
        return network.signal(0, IMAGE.pixels, IMAGE.shape).clamp(0, 1)


@pytest.mark.parametrize("make", [latents, priced])
def test_searched_steps_cost_less_than_fixed_ones(make: Callable[[], Network]) -> None:
    network = make()
    targets = signal_of(network)
    values = IMAGE.denormalize(targets.numpy()).reshape(64, 64, 3)

    def cost(rounding: Rounding) -> float:
        data = compress(network, IMAGE, rounding, targets).data
        error = np.mean((decompress(data) / 255 - values / 255) ** 2)
        return float(error + network.rate_weight * 8 * len(data) / IMAGE.pixels)

    assert cost(Searched()) < min(cost(Nearest(bits=bits)) for bits in (4, 6, 8, 10))


def test_latents_step_before_weights_become_coarse() -> None:
    network = latents()
    targets = signal_of(network)
    free = Searched().quantize(network, IMAGE, targets)
    size = len(encode(free, IMAGE).data)
    kept = Searched(most_bytes=int(0.97 * size)).quantize(network, IMAGE, targets)
    assert 0.9 * size <= len(encode(kept, IMAGE).data) <= 0.97 * size
    for name, tensor in free.tensors.items():
        np.testing.assert_array_equal(kept.tensors[name].codes, tensor.codes)


def test_targets_are_needed() -> None:
    with pytest.raises(QuinrError, match="searched: needs the signal's targets"):
        compress(latents(), IMAGE, Searched())


@pytest.mark.parametrize(
    ("network", "rounding", "said"),
    [
        (
            LatentQuINR(),
            Compensated(),
            "LatentQuINR has latents beside its weights; choose nearest or searched",
        ),
        (LatentQuINR(), Stepwise(), "stepwise: LatentQuINR has latents"),
        (COIN(), Searched(), "searched: COIN has no rate_weight, .*; choose stepwise or compensated"),
    ],
)
def test_networks_of_the_other_kind_are_refused(network: Network, rounding: Rounding, said: str) -> None:
    with pytest.raises(QuinrError, match=said):
        compress(network, IMAGE, rounding, torch.zeros(IMAGE.pixels, 3))
