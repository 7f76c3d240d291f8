"""Weights rounded together at a price of a bit."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
import torch
from fits import small_latents, train

from quinr_pl.codec import Searched, compress, decode, encode
from quinr_pl.codec.quantized import FIXED_POINT_CODES, STEPS_PER_OCTAVE, QuantizedNetwork, QuantizedTensor
from quinr_pl.codec.rounding import untold
from quinr_pl.codec.rounding.compensation import Compensation
from quinr_pl.codec.rounding.levels import reduced_parameters, round_to_levels
from quinr_pl.codec.rounding.priced import PricedQuantizer
from quinr_pl.codec.rounding.row_steps import codes_of_curvature, codes_of_file
from quinr_pl.codec.rounding.trimming import decoded_error
from quinr_pl.codec.sections.weights import weight_bits, write_weights
from quinr_pl.native.threads import native_threads
from quinr_pl.network import Network
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

SHAPE = (48, 64)
IMAGE = SignalSpec(IMAGE_8, SHAPE, 3, 0.0, 255.0)


@pytest.fixture(scope="module")
def fit() -> tuple[Network, torch.Tensor]:
    """A latent network fitted to waves and an edge, and its targets."""
    torch.manual_seed(0)
    grid = coordinates(SHAPE)
    waves = torch.stack([(k + 4) * grid[:, 0] + (9 - k) * grid[:, 1] for k in range(3)], 1).sin()
    targets = (255 * (0.5 + 0.25 * waves + 0.2 * (grid[:, :1] > 0.2))).round() / 255
    network = small_latents(48, 64, 4, rate_weight=1e-3, coarse_steps=())
    train(network, grid, targets, 120)
    return network, targets


@torch.no_grad()
def at_prices(fit: tuple[Network, torch.Tensor], *factors: float) -> list[QuantizedNetwork]:
    """The network rounded at multiples of the price of its training."""
    network, targets = fit
    quantizer = PricedQuantizer(network, IMAGE, targets, untold)
    return [quantizer.at_price(factor * network.rate_weight / IMAGE.pixels, untold) for factor in factors]


def test_weights_make_up_for_each_other(fit: tuple[Network, torch.Tensor]) -> None:
    network, targets = fit
    (found,) = at_prices(fit, 1.0)
    values = reduced_parameters(network)
    nearest = {
        name: replace(
            tensor,
            levels=np.stack(
                [
                    round_to_levels(row, int(code))
                    for row, code in zip(
                        values[name].reshape(len(tensor.codes), -1), tensor.codes, strict=True
                    )
                ]
            ).reshape(tensor.levels.shape),
        )
        for name, tensor in found.tensors.items()
    }
    lone = replace(found, tensors=nearest)
    assert decoded_error(found, IMAGE, targets) < 0.9 * decoded_error(lone, IMAGE, targets)
    for name, tensor in found.tensors.items():
        if name.startswith("context."):
            assert set(tensor.codes % STEPS_PER_OCTAVE) == {0}
            assert FIXED_POINT_CODES[0] <= tensor.codes.min() <= tensor.codes.max() <= FIXED_POINT_CODES[1]


def test_a_higher_price_takes_fewer_bits_and_gives_a_larger_error(fit: tuple[Network, torch.Tensor]) -> None:
    rounded = at_prices(fit, 0.01, 1.0, 100.0)
    bits = [weight_bits(quantized.tensors) for quantized in rounded]
    errors = [decoded_error(quantized, IMAGE, fit[1]) for quantized in rounded]
    assert bits == sorted(bits, reverse=True)
    assert errors == sorted(errors)
    assert bits[2] < 0.8 * bits[0]


def test_levels_do_not_depend_on_threads(fit: tuple[Network, torch.Tensor]) -> None:
    network, targets = fit
    files = set()
    for count in (1, 3):
        with native_threads(count=count):
            files.add(compress(network, IMAGE, Searched(), targets).data)
    assert len(files) == 1


def test_bits_are_those_of_the_section() -> None:
    generator = np.random.default_rng(0)
    shapes = {"a.weight": (6, 5), "a.bias": (6,), "b.weight": (40, 30)}
    tensors = {
        name: QuantizedTensor.of_one_step(generator.integers(-40, 41, size=shape), 120)
        for name, shape in shapes.items()
    }
    assert 8 * len(write_weights(tensors)) == pytest.approx(weight_bits(tensors), abs=40)


@pytest.mark.parametrize("seed", range(10))
def test_nearest_levels_are_the_best_ones_of_few(seed: int) -> None:
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(4, 6))
    hessian, values = root @ root.T, 3 * generator.normal(size=4)
    steps = generator.uniform(0.5, 2, size=4)
    compensation = Compensation.of(hessian, steps, 1e-9)

    def error(levels: np.ndarray) -> float:
        away = levels * steps - values
        return float(away @ hessian @ away)

    around = np.rint(values / steps) + np.array(list(itertools.product(range(-4, 5), repeat=4)))
    best = min(map(error, around))
    assert error(compensation.nearest(values, steps, 1000)) == pytest.approx(best, rel=1e-6)
    babai = error(compensation.round(values, steps))
    assert error(compensation.nearest(values, steps, 1)) == pytest.approx(babai)


@pytest.mark.parametrize("penalty", [0.0, 0.3, 3.0, math.inf])
def test_levels_stay_with_those_before_where_leaving_costs_more(penalty: float) -> None:
    generator = np.random.default_rng(0)
    root = generator.normal(size=(5, 8))
    hessian, steps = root @ root.T, generator.uniform(0.5, 2, size=5)
    values, before = 3 * generator.normal(size=5), generator.integers(-9, 10, size=5)
    compensation = Compensation.of(hessian, steps, 1e-9)

    def cost(levels: np.ndarray) -> float:
        away = np.abs(levels - before).sum()
        error = levels * steps - values
        return float(error @ hessian @ error) + (penalty * away if away else 0.0)

    found = compensation.nearest(values, steps, 4000, before, penalty)
    assert cost(found) <= cost(before)
    assert cost(found) <= cost(compensation.nearest(values, steps, 4000)) * (1 + 1e-6)
    assert math.isfinite(penalty) or np.array_equal(found, before)


@dataclass(frozen=True)
class FollowingFit:
    """A fit to other values that goes on from a rounded one, which tells it.

    Args:
        fit: The one before, and its targets.
        first: It, rounded.
    """

    fit: tuple[Network, torch.Tensor]
    first: QuantizedNetwork

    @cached_property
    def spec(self) -> SignalSpec:
        following = IMAGE.following(decode(encode(self.first, IMAGE).data).as_reference())
        assert following is not None
        return following

    @cached_property
    def targets(self) -> torch.Tensor:
        return (self.fit[1] * 0.9 + 0.05).sqrt()

    @cached_property
    def network(self) -> Network:
        network = copy.deepcopy(self.fit[0])
        network.follow(self.first.values())
        train(network, coordinates(SHAPE), self.targets, 60)
        return network

    @torch.no_grad()
    def rounded(self, price: float) -> list[QuantizedNetwork]:
        """In the way that is taken, with step sizes of its own, and with those of the one before."""
        quantizer = PricedQuantizer(self.network, self.spec, self.targets, untold)
        found = quantizer.at_price(price, untold)
        ways = [quantizer._rounded(way, price, untold)[1] for way in range(2)]
        return [found, *(replace(found, tensors={name: way[name] for name in found.tensors}) for way in ways)]

    def cost(self, quantized: QuantizedNetwork, price: float) -> float:
        """Error and priced bits of the file."""
        bits = 8 * len(encode(quantized, self.spec).data)
        return decoded_error(quantized, self.spec, self.targets) + price * bits


def test_a_frame_leaves_the_levels_of_the_one_before_where_that_pays(
    fit: tuple[Network, torch.Tensor],
) -> None:
    (first,) = at_prices(fit, 1.0)
    after = FollowingFit(fit, first)
    price = after.network.rate_weight / IMAGE.pixels
    found, _, at_its_steps = after.rounded(price)
    before, values = first.tensors, reduced_parameters(after.network)
    nearest = {
        name: QuantizedTensor(
            np.rint(values[name].numpy() / np.broadcast_to(tensor.steps, tensor.levels.shape)).astype(int),
            tensor.codes,
        )
        for name, tensor in before.items()
    }
    assert all(np.array_equal(at_its_steps.tensors[name].codes, before[name].codes) for name in before)
    for others in (before, nearest):
        others = replace(found, tensors=dict(others))
        assert after.cost(at_its_steps, price) < after.cost(others, price)
        assert after.cost(found, price) < after.cost(others, price)


@pytest.mark.parametrize(("before", "now"), [(1.0, 1.0), (1e-3, 20.0)])
def test_a_frame_has_the_step_sizes_that_cost_less(
    fit: tuple[Network, torch.Tensor], before: float, now: float
) -> None:
    (first,) = at_prices(fit, before)
    after = FollowingFit(fit, first)
    price = now * after.network.rate_weight / IMAGE.pixels
    found, *ways = after.rounded(price)
    own, others = (after.cost(way, price) for way in ways)
    assert after.cost(found, price) <= 1.01 * min(own, others)
    if now > before:  # steps of the one before are a hundred times too fine
        assert own < 0.95 * others


@pytest.mark.parametrize("unit", [1, STEPS_PER_OCTAVE])
@pytest.mark.parametrize("offset", [-1000.0, 190.0, 1000.0])
def test_codes_are_those_that_a_file_holds(unit: int, offset: float) -> None:
    torch.manual_seed(0)
    values = {"a.weight": 30 * torch.randn(5, 7), "a.bias": torch.randn(5), "b.weight": torch.zeros(3, 4)}
    curvature = np.exp(3 * np.random.default_rng(0).normal(size=35 + 5 + 12))
    codes = codes_of_file(values, codes_of_curvature(values, curvature, offset, unit), unit)
    lowest, highest = (1, 255) if unit == 1 else FIXED_POINT_CODES
    for name, rows in codes.items():
        assert lowest <= rows.min() <= rows.max() <= highest
        assert not (rows % unit).any()
        if offset < 1000:
            for row, code in zip(values[name].reshape(len(rows), -1), rows, strict=True):
                assert np.abs(round_to_levels(row, int(code))).max() < 32767 or code == highest
    grid = {int(code) % 4 for name in ("a.weight", "a.bias") for code in codes[name]}
    assert len(grid) == 1
