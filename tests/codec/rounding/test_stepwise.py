"""Incremental quantization: layer after layer, with training in between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from quinr_pl.codec import Compensated, Stepwise, compress, decode
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, CoordinateNetwork, QuINR
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

IMAGE = SignalSpec(IMAGE_8, (24, 32), 3, 0.0, 255.0)
GRID = coordinates(IMAGE.shape)
TARGETS = 0.5 + 0.4 * torch.stack([(k + 2) * GRID[:, 0] + 3 * GRID[:, 1] for k in range(3)], 1).sin()


def fitted(network: CoordinateNetwork, steps: int) -> CoordinateNetwork:
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)  # COIN does not learn at 5e-3
    for _ in range(steps):
        loss = ((network(GRID) - TARGETS) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def coin() -> CoordinateNetwork:
    return COIN(layers=2, width=10)


def quinr() -> CoordinateNetwork:
    return QuINR(qubits=3, angles=9, features="own", readout="linear", omega0=5.0, weight_init=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [coin, quinr], ids=["COIN", "QuINR"])
def test_stepwise_rounding_ends_nearer_to_the_signal(kind: Callable[[], CoordinateNetwork]) -> None:
    """Not of every network, but of most, and by much: half to two thirds of the error in the mean."""
    shares = []
    for seed in range(4):
        torch.manual_seed(seed)
        network = fitted(kind(), 300)
        errors = {}
        for rounding in (Compensated(rate=4.0), Stepwise(rate=4.0, retraining_steps=150)):
            data = compress(network, IMAGE, rounding, TARGETS).data
            assert 4.0 * 0.9 <= 8 * len(data) / network.parameter_count() <= 4.0
            with torch.no_grad():
                errors[rounding.method] = float(((decode(data).network(GRID) - TARGETS) ** 2).mean())
        shares.append(errors["stepwise"] / errors["compensated"])
    assert np.exp(np.mean(np.log(shares))) < 1


def test_stepwise_rounding_needs_targets() -> None:
    network = coin()
    with pytest.raises(QuinrError, match="needs the signal's targets"):
        compress(network, IMAGE, Stepwise())
    with pytest.raises(QuinrError, match="targets of shape"):
        compress(network, IMAGE, Stepwise(), TARGETS[1:])
