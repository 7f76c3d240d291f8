from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_pl.baselines.coin import PublishedCOIN, coin_coordinates
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.published import kodak_averages
from quinr_pl.signals.distortion import psnr


@pytest.mark.parametrize(("layers", "width"), [(5, 20), (5, 30), (10, 28), (10, 40), (13, 49)])
def test_rates_are_the_published_ones(layers, width):
    """Two bytes a weight on 512 x 768 pixels; the published figures are up to 1 % higher."""
    weights = 3 * width + (layers - 1) * (width * width + width) + 3 * width + 3
    published = [bpp for bpp, _ in kodak_averages()["COIN"].points]
    assert min(abs(16 * weights / (512 * 768) / bpp - 1) for bpp in published) < 0.0105


def test_coordinates_are_scaled_by_the_height():
    points = coin_coordinates((3, 5)).reshape(3, 5, 2)
    assert points[:, 0, 0].tolist() == [-1, 0, 1]
    assert points[0, :, 1].tolist() == [-1, 0, 1, 2, 3]


@pytest.mark.parametrize("batch_size", [None, 200])
def test_fits_and_decodes(batch_size):
    data = SampleDataModule(longer_side=24)
    data.setup()
    coin = PublishedCOIN(3, 16, steps=150, learning_rate=2e-3, batch_size=batch_size)
    before = torch.random.get_rng_state()
    encoded = coin.encode(data.values, data.spec, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert encoded == coin.encode(data.values, data.spec, seed=1)
    assert len(encoded) == 2 * (3 * 16 + 2 * 17 * 16 + 17 * 3)
    decoded = coin.decode(encoded, data.spec)
    mean = np.broadcast_to(data.values.mean((0, 1)), data.values.shape)
    assert psnr(data.values, decoded, 255) > psnr(data.values, mean, 255) + 3
    with pytest.raises(QuinrError, match="bytes for"):
        coin.decode(encoded[:-1], data.spec)
