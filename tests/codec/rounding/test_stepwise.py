"""Incremental quantization: layer after layer, with training in between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from small_fits import GRID, IMAGE, TARGETS, coin, fitted, quinr

from quinr_pl.codec import Compensated, Stepwise, compress, decode
from quinr_pl.errors import QuinrError
from quinr_pl.network import CoordinateNetwork


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
