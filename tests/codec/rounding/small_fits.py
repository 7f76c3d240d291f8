"""Networks fitted to a small image, for the tests of ways of rounding."""

from __future__ import annotations

import torch

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
