"""Classical networks of the studies against the formulas of their papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.studies.networks import FINER, WIRE, ClassicalNetwork, FourierReLU
from benchmarks.studies.signals import GRID
from quinr_pl.codec import Nearest, compress, decompress
from quinr_pl.signals import SignalSpec


def by_hand(network: ClassicalNetwork, x: np.ndarray) -> np.ndarray:
    """Values by the formulas of the papers, in complex numbers where they have them."""
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    omega, n = network.omega0, network.width
    z = x @ weights["first.weight"].T + weights["first.bias"]
    if isinstance(network, FourierReLU):
        a = np.concatenate([np.sin(omega * z), np.cos(omega * z)], 1)[:, :n]
        a = np.maximum(a @ weights["hidden.0.weight"].T + weights["hidden.0.bias"], 0)
        return a @ weights["output.weight"].T + weights["output.bias"]
    if isinstance(network, FINER):
        a = np.sin(omega * (np.abs(z) + 1) * z)
        z = a @ weights["hidden.0.weight"].T + weights["hidden.0.bias"]
        return np.sin(omega * (np.abs(z) + 1) * z) @ weights["output.weight"].T + weights["output.bias"]

    def gabor(z):
        return np.exp(1j * omega * z - (omega / 2) ** 2 * np.abs(z) ** 2)

    hidden, bias = weights["hidden.0.real"] + 1j * weights["hidden.0.imaginary"], weights["hidden.0.bias"]
    a = gabor(gabor(z) @ hidden.T + bias[:n] + 1j * bias[n:])
    output = weights["output.weight"][:, :n] - 1j * weights["output.weight"][:, n:]
    return (a @ output.T).real + weights["output.bias"]


@pytest.mark.parametrize("cls", [FourierReLU, FINER, WIRE])
def test_networks_compute_their_papers_formulas_and_go_through_files(cls):
    torch.manual_seed(0)
    network = cls(in_features=1, out_features=1, layers=2, width=7, omega0=8.0)
    x = np.linspace(-1, 1, 40)[:, None]
    values = network(torch.from_numpy(x).float()).detach().numpy()
    assert values == pytest.approx(by_hand(network, x), abs=1e-4)
    assert cls.cost(network.architecture()).parameters == network.parameter_count()
    spec = SignalSpec(GRID, (40,), 1, -9.0, 9.0)
    decoded = decompress(compress(network, spec, Nearest(bits=14)).data)
    assert decoded == pytest.approx(18 * np.clip(values, 0, 1) - 9, abs=0.05)
