"""Where a latent fit begins."""

from __future__ import annotations

import pytest
import torch

from quinr_pl.network import LatentQuINR
from quinr_pl.signals import coordinates


@pytest.mark.parametrize("channels", [1, 3])
def test_a_latent_of_a_new_network_brightens_its_place_in_all_channels(channels):
    torch.manual_seed(0)
    network = LatentQuINR(out_features=channels, height=16, width=16, finest=0, grids=4)
    for level, grid in enumerate(network.pyramid.grids):
        with torch.no_grad():
            before = network(coordinates((16, 16))).reshape(16, 16, channels)
            row, column = grid.shape[0] // 2, grid.shape[1] // 2
            grid[row, column] = 1.0
            after = network(coordinates((16, 16))).reshape(16, 16, channels)
            grid[row, column] = 0.0
        place = (row << level) + (1 << level >> 1), (column << level) + (1 << level >> 1)
        change = (after - before)[place]  # (channels,)
        assert (change > 0.02 * 0.5**level).all()
        assert (change < 0.4 * 0.5**level).all(), "half of what one of the grid before changes"
        assert change.max() < 3 * change.min(), "near gray"


def test_a_latent_of_a_new_network_changes_less_where_bits_are_cheap():
    weights = [LatentQuINR(rate_weight=weight).skip.weight.mean().item() for weight in (1e-2, 1e-3, 5e-5)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] < weights[0] / 3


def test_a_second_hidden_layer_of_the_context_model_joins_at_the_full_resolution():
    torch.manual_seed(0)
    network = LatentQuINR(height=16, width=16, finest=0, grids=3, context_layers=2, coarse_steps=(0.4, 0.3))
    layer = network.context.second
    for grid in network.pyramid.grids:
        grid.data.normal_(std=2.0)
    alone = network.context(network.pyramid.rounded(), second=False)
    torch.testing.assert_close(network.integer_bits(), alone.double().sum(), rtol=1e-6, atol=0)
    network.begin_step(0, 0.0)
    for share, joined in ((0.1, False), (0.6, False), (0.8, True)):
        network.zero_grad()
        targets = torch.rand(256, 3)
        network.loss(coordinates((16, 16)), targets, network.progress(share))[0].backward()
        assert network.context.hidden.weight.grad.abs().max() > 0
        assert (layer.weight.grad is not None) is joined
        assert not joined or layer.weight.grad.abs().max() > 0


def test_a_second_hidden_layer_of_a_trained_network_is_there_from_the_first_step_on():
    network = LatentQuINR(height=16, width=16, finest=0, grids=3, context_layers=2, coarse_steps=(0.4, 0.3))
    network.context.second.weight.data.normal_(std=0.1)
    network.begin_step(0, 0.0)
    network.pyramid.grids[2].data.normal_(std=2.0)
    network.loss(coordinates((16, 16)), torch.rand(256, 3), 0.0)[0].backward()
    assert network.context.second.weight.grad.abs().max() > 0
