"""Files that are brought to an asked size or quality when they are rounded."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from fits import small_latents, train

from quinr_pl.codec import Nearest, Searched, compress, decompress
from quinr_pl.codec.file.encoder import encode
from quinr_pl.codec.rounding import trimming, untold
from quinr_pl.codec.rounding.priced import PricedQuantizer
from quinr_pl.codec.rounding.trimming import decoded_error
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

SHAPE = (60, 80)
IMAGE = SignalSpec(IMAGE_8, SHAPE, 3, 0.0, 255.0)
GRID = coordinates(SHAPE)


@pytest.fixture(scope="module")
def fitted():
    """A latent network fitted to edges and a ramp, and its targets."""
    torch.manual_seed(0)
    rows, columns = GRID.T
    disc = ((rows**2 + columns**2) < 0.4).float()
    stripes = (torch.sin(40 * columns) > 0).float() * (rows > 0.5)
    targets = torch.stack([0.2 + 0.5 * disc, 0.5 + 0.3 * columns, 0.3 + 0.4 * stripes], 1)
    targets = (255 * targets).round() / 255
    network = small_latents(60, 80, 5, rate_weight=2e-3, coarse_steps=())
    train(network, GRID, targets, 150)
    return network, targets


def figures(network, targets, rounding):
    data = compress(network, IMAGE, rounding, targets).data
    values = IMAGE.denormalize(targets.numpy()).reshape(*SHAPE, 3)
    error = np.mean((decompress(data) / 255 - values / 255) ** 2)
    return len(data), -10 * np.log10(error)


@torch.no_grad()
def as_trained(network, targets):
    """The quantized network with all latents as they were trained."""
    quantizer = PricedQuantizer(network, IMAGE, targets, untold)
    return quantizer.at_price(network.rate_weight / IMAGE.pixels, untold)


def untrimmed(network, targets):
    """Bytes and PSNR with all latents as they were trained."""
    quantized = as_trained(network, targets)
    return len(encode(quantized, IMAGE).data), -10 * np.log10(decoded_error(quantized, IMAGE, targets))


@pytest.mark.parametrize("share", [0.95, 0.98, 1.02])
def test_a_file_takes_the_bytes_asked_for(fitted, share):
    size, quality = figures(*fitted, Searched())
    asked = round(share * size)
    trimmed, trimmed_quality = figures(*fitted, Searched(most_bytes=asked))
    assert 0.97 * asked <= trimmed <= asked
    assert trimmed_quality > quality - 2


@pytest.mark.parametrize("decibels", [-0.3, 0.1])
def test_a_file_has_the_quality_asked_for(fitted, decibels):
    size, quality = untrimmed(*fitted)
    trimmed, trimmed_quality = figures(*fitted, Searched(least_psnr=quality + decibels))
    assert quality + decibels <= trimmed_quality <= quality + decibels + 0.1
    assert trimmed <= size or decibels > 0


@pytest.mark.slow
def test_weights_are_finer_where_a_quality_needs_it(fitted):
    network, targets = copy.deepcopy(fitted[0]), fitted[1]
    network.rate_weight = 0.2  # as where a fit was steered down to a quality
    _, finest = figures(network, targets, Nearest(bits=12))
    _, coarse = figures(network, targets, Searched())
    asked = finest - 0.5
    assert coarse < asked - 1
    assert asked <= figures(network, targets, Searched(least_psnr=asked))[1] <= asked + 0.1


@pytest.mark.slow
def test_weights_alone_are_priced_higher():
    network = COIN(layers=2, width=24)
    network.rate_weight = 1e-6
    targets = network(GRID).detach().clamp(0, 1)
    size, _ = figures(network, targets, Searched())
    assert figures(network, targets, Searched(most_bytes=round(0.9 * size)))[0] <= 0.9 * size


@pytest.mark.parametrize(
    "options", [{"most_bytes": -1}, {"least_psnr": -1.0}, {"most_bytes": 100, "least_psnr": 30.0}]
)
def test_targets_that_no_file_can_have_are_refused(options):
    with pytest.raises(QuinrError, match=next(iter(options))):
        Searched(**options)


def test_what_steps_change_is_found_band_by_band(fitted, monkeypatch):
    network, targets = fitted
    found = []
    for pixels in (1 << 19, 700):
        monkeypatch.setattr(trimming, "_BAND_PIXELS", pixels)
        quantized = Nearest().quantize(network, IMAGE)
        trim = trimming._Trim(IMAGE, targets, quantized)
        found.append((trim.error(quantized), *trim._derivatives()))
    (error, slopes, curvatures), (error_of_bands, slopes_of_bands, curvatures_of_bands) = found
    assert error_of_bands == pytest.approx(error, rel=1e-5)
    for one, other in zip(slopes, slopes_of_bands, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max())
    # Other random signs: an estimate of the same.
    assert curvatures_of_bands[0].mean() == pytest.approx(curvatures[0].mean(), rel=0.2)


def test_what_chosen_steps_change_is_measured_one_by_one(fitted):
    network, targets = fitted
    quantized = Nearest().quantize(network, IMAGE)
    trim = trimming._Trim(IMAGE, targets, quantized)
    steps = trim.steps(quantized)
    measured = trim.measured(quantized, steps, steps.usual_price)
    known = np.flatnonzero(np.isfinite(measured.errors))
    before = trim.error(quantized)
    alone = [trim.error(steps.taken(quantized, known[[index]])) - before for index in range(0, len(known), 7)]
    found, flattered = measured.errors[known[::7]], steps.errors[known[::7]]
    assert len(alone) > 3
    assert np.abs(found - alone).mean() < 0.3 * np.abs(flattered - alone).mean()


def test_latents_step_without_a_target_too(fitted) -> None:
    size, quality = figures(*fitted, Searched())
    untrimmed_size, untrimmed_quality = untrimmed(*fitted)
    assert size <= untrimmed_size
    assert quality > untrimmed_quality + 0.02


def test_large_signals_have_as_many_candidates_for_each_pixel(fitted, monkeypatch):
    network, targets = fitted
    monkeypatch.setattr(trimming, "_FEWEST_CANDIDATES", 1)

    quantized = as_trained(network, targets)

    def reached(pixels_of_a_candidate: int) -> int:
        monkeypatch.setattr(trimming, "_PIXELS_OF_A_CANDIDATE", pixels_of_a_candidate)
        most = round(0.97 * len(encode(quantized, IMAGE).data))
        trimmed = trimming.trimmed_to_size(quantized, IMAGE, targets, most, untold)
        return len(encode(trimmed, IMAGE).data) - most

    assert reached(32) <= 0 < reached(IMAGE.pixels)
