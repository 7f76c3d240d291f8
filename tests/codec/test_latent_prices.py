"""What latents take without coding them, against the coder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_pl.codec import Nearest
from quinr_pl.codec.coding import latents as coding
from quinr_pl.codec.coding.latent_prices import LatentPrices
from quinr_pl.codec.sections.latents import integer_context
from quinr_pl.network import LatentQuINR
from quinr_pl.signals import IMAGE_8, SignalSpec

IMAGE = SignalSpec(IMAGE_8, (37, 22), 3, 0.0, 255.0)


@pytest.fixture
def quantized():
    network = LatentQuINR(height=37, width=22, finest=0, grids=3, neighbours=9)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in network.integers():
                parameter.normal_(std=4.0)
                parameter.view(-1)[5] = 900.0  # behind an escape
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return Nearest().quantize(network, IMAGE)


def test_all_latents_take_what_their_section_has(quantized):
    grids, context = list(quantized.integers.values()), integer_context(quantized)
    assert 8 * len(coding.encode(grids, context)) == pytest.approx(
        LatentPrices(grids, context).total(), abs=48
    )


def test_a_step_changes_what_the_others_take_too(quantized):
    grids, context = list(quantized.integers.values()), integer_context(quantized)
    prices = LatentPrices(grids, context)
    generator = np.random.default_rng(0)
    for index, grid in enumerate(grids):
        rows, columns = (generator.integers(0, size, 12) for size in grid.shape)
        steps = generator.choice([-1, 1], 12)
        changes = prices.changes(index, rows, columns, steps)
        for row, column, step, change in zip(rows, columns, steps, changes, strict=True):
            moved = [other.copy() for other in grids]
            moved[index][row, column] += step
            assert change == pytest.approx(LatentPrices(moved, context).total() - prices.total(), abs=1e-6)
