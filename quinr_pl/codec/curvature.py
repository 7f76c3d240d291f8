"""How the error of a signal grows with errors of the weights: the Gauss-Newton matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.network import CoordinateNetwork
from quinr_pl.signal import SignalSpec, coordinates

_PERIOD_SHARE = 1 / 600
_STEP = 1e-3
_ELEMENTS = 1 << 26


def sample_coordinates(spec: SignalSpec, count: int, seed: int = 0) -> Tensor:
    """Coordinates of random pixels of a signal, without repetition: (at most count, 2)."""
    grid = coordinates(spec.height, spec.width)
    chosen = np.random.default_rng(seed).permutation(spec.pixels)[:count]
    return grid[torch.from_numpy(chosen)]


@torch.no_grad()
def gauss_newton(network: CoordinateNetwork, names: list[str], points: Tensor) -> npt.NDArray[np.float64]:
    """The matrix H for which errors d of some weights raise the mean squared error by d' H d.

    That holds at a minimum, and as far as the values are linear in the weights. Derivatives are forward
    differences, so that any engine will do.

    Args:
        network: A trained network; its weights are moved and put back.
        names: Parameters that vary.
        points: Coordinates to average over, (points, in_features); several times as many as weights.

    Returns:
        (weights, weights), in the order of the names.
    """
    periods = network.parameter_periods()
    parameters: list[tuple[Tensor, Tensor | None]] = [
        (network.get_parameter(name), periods.get(name)) for name in names
    ]
    count = sum(parameter.numel() for parameter, _ in parameters)
    hessian = np.zeros((count, count))
    device = parameters[0][0].device
    for part in points.split(max(1, _ELEMENTS // (count * network.out_features))):
        jacobian = _jacobian(network, parameters, part.to(device))
        hessian += (jacobian @ jacobian.T).astype(np.float64)
    return hessian / (len(points) * network.out_features)


def total_curvature(
    network: CoordinateNetwork, points: Tensor, probes: int = 16, seed: int = 0
) -> dict[str, float]:
    """Sum of the Gauss-Newton matrix's diagonal over each parameter, by random probes (Hutchinson 1990).

    Much quicker than the matrix: one backward pass for each probe.

    Args:
        network: A trained network.
        points: Coordinates to average over, (points, in_features).
        probes: Number of random sign vectors.
        seed: Of the signs.

    Returns:
        By the names of the parameters that are trained.
    """
    generator = torch.Generator().manual_seed(seed)
    trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    totals = dict.fromkeys(trained, 0.0)
    with torch.enable_grad():
        for _ in range(probes):
            values = network(points)
            signs = 2.0 * torch.randint(0, 2, values.shape, generator=generator).to(values) - 1.0
            gradients = torch.autograd.grad((values * signs).sum(), list(trained.values()))
            for name, gradient in zip(trained, gradients, strict=True):
                totals[name] += float(gradient.double().square().sum())
    return {name: total / (probes * len(points) * network.out_features) for name, total in totals.items()}


def _jacobian(
    network: CoordinateNetwork, parameters: list[tuple[Tensor, Tensor | None]], points: Tensor
) -> npt.NDArray[np.float32]:
    base = network(points)
    rows = []
    for parameter, period in parameters:
        step = torch.tensor(_STEP) if period is None else period * _PERIOD_SHARE
        steps = step.expand(parameter.shape).flatten().tolist()
        flat = parameter.view(-1)
        for index, value in enumerate(flat.tolist()):
            flat[index] = value + steps[index]
            # float32 rounds the sum: divide by what was really added
            added = float(flat[index]) - value
            rows.append(((network(points) - base) / added).flatten().cpu().numpy())
            flat[index] = value
    return np.stack(rows)
