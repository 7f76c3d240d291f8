from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from quinr_pl.codec import Nearest, QuantizedNetwork, encode
from quinr_pl.codec.rounding.level_search import choose_moves, search_levels
from quinr_pl.network import COIN
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

IMAGE = SignalSpec(IMAGE_8, (24, 32), 3, 0.0, 255.0)
GRID = coordinates(IMAGE.shape)


def cost(gradient: np.ndarray, hessian: np.ndarray, moves: np.ndarray) -> float:
    return float(gradient @ moves + moves @ hessian @ moves)


@pytest.mark.parametrize("seed", range(20))
def test_no_one_or_two_further_moves_are_better(seed: int) -> None:
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(6, 9))
    hessian, gradient = root @ root.T, 4 * generator.normal(size=6)
    moves = choose_moves(gradient, hessian, 100)
    assert np.array_equal(moves, moves.round())
    found = cost(gradient, hessian, moves)
    assert found <= 0
    for i, j in itertools.product(range(6), repeat=2):
        for a, b in itertools.product((-1, 0, 1), repeat=2):
            other = moves.copy()
            other[i] += a
            other[j] += b
            if i != j:
                assert found <= cost(gradient, hessian, other) + 1e-9


def test_finds_a_pair_that_only_helps_together() -> None:
    # Alone each costs 1 - 0.5; together, since they almost cancel, 2 - 1.9 - 1.
    hessian, gradient = np.array([[1.0, -0.95], [-0.95, 1.0]]), np.array([-0.5, -0.5])
    assert choose_moves(gradient, hessian, 1).tolist() == [1.0, 1.0]
    assert choose_moves(np.zeros(2), hessian, 5).tolist() == [0.0, 0.0]


def rounded_fit(seed: int) -> tuple[QuantizedNetwork, torch.Tensor]:
    torch.manual_seed(seed)
    network = COIN(layers=2, width=10)
    targets = 0.5 + 0.4 * torch.stack([(k + 2) * GRID[:, 0] + 3 * GRID[:, 1] for k in range(3)], 1).sin()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(300):
        loss = ((network(GRID) - targets) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Nearest(bits=5).quantize(network, IMAGE), targets


@pytest.fixture(scope="module")
def rounded() -> tuple[QuantizedNetwork, torch.Tensor]:
    return rounded_fit(0)


def squared_error(quantized: QuantizedNetwork, targets: torch.Tensor) -> float:
    network = COIN(layers=2, width=10)
    quantized.load_into(network)
    with torch.no_grad():
        return float((network(GRID) - targets).square().mean())


def test_lowers_the_error_at_the_same_steps() -> None:
    """By half in the mean, and by nothing for one fit in ten."""
    shares = []
    for seed in range(4):
        start, targets = rounded_fit(seed)
        found = search_levels(start, IMAGE, targets, 10**6)
        shares.append(squared_error(found, targets) / squared_error(start, targets))
        for name, tensor in start.tensors.items():
            assert np.array_equal(found.tensors[name].codes, tensor.codes)
    assert max(shares) <= 1
    assert np.exp(np.mean(np.log(shares))) < 0.9


def test_never_takes_more_than_allowed(rounded: tuple[QuantizedNetwork, torch.Tensor]) -> None:
    start, targets = rounded
    size = len(encode(start, IMAGE).data)
    found = search_levels(start, IMAGE, targets, size)
    assert len(encode(found, IMAGE).data) <= size
    assert squared_error(found, targets) <= squared_error(start, targets)
