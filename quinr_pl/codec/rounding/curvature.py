"""How the error of a signal grows with errors of the weights: the Gauss-Newton matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.layers.embedding import SinusoidalEmbedding
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec, coordinates

_PERIOD_SHARE = 1 / 600
_STEP = 1e-3
_ELEMENTS = 1 << 26
_BLOCK = 512


def require_sampling(network: Network, what: str, remedy: str) -> None:
    """Refuse a network whose values at a sample of coordinates are no function of its weights alone.

    Args:
        network: Trained or not.
        what: The option that needs the curvature, for the message.
        remedy: What to do instead, likewise.

    Raises:
        QuinrError: If the network takes the whole signal at once, or has latents.
    """
    if network.whole_signal or network.integers():
        reason = "has latents beside its weights" if network.integers() else "takes the whole signal at once"
        raise QuinrError(f"{what}: {type(network).__name__} {reason}; {remedy}")


def sample_coordinates(spec: SignalSpec, count: int, seed: int = 0) -> Tensor:
    """Coordinates of random pixels of a signal, without repetition: (at most count, 2)."""
    grid = coordinates(spec.shape)
    return grid[torch.from_numpy(spec.sample_pixels(count, seed))]


def gauss_newton(network: Network, names: list[str], points: Tensor) -> npt.NDArray[np.float64]:
    """The matrix H for which errors d of some weights raise the mean squared error by d' H d.

    That holds at a minimum, and as far as the values are linear in the weights. Derivatives in the weights
    of sinusoidal embeddings, which are most of all, come from one backward pass for each output; the
    others are forward differences. Any engine will do.

    Args:
        network: A trained network; its weights are moved and put back.
        names: Parameters that vary.
        points: Coordinates to average over, (points, in_features); several times as many as weights.

    Returns:
        (weights, weights), in the order of the names.
    """
    count = sum(network.get_parameter(name).numel() for name in names)
    hessian = np.zeros((count, count))
    device = network.get_parameter(names[0]).device
    for part in points.split(max(1, _ELEMENTS // (count * network.out_features))):
        jacobian = _jacobian(network, names, part.to(device))
        for start in range(0, count, _BLOCK):
            # The matrix is symmetric: its upper blocks are enough.
            block = jacobian[start : start + _BLOCK] @ jacobian[start:].T
            hessian[start : start + _BLOCK, start:] += block.cpu().numpy()
    return (np.triu(hessian) + np.triu(hessian, 1).T) / (len(points) * network.out_features)


def total_curvature(network: Network, points: Tensor, probes: int = 16, seed: int = 0) -> dict[str, float]:
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


def _jacobian(network: Network, names: list[str], points: Tensor) -> Tensor:
    """Derivatives of all values, (weights, points * out_features)."""
    rows = _embedding_rows(network, names, points)
    periods = network.parameter_periods()
    with torch.no_grad():
        base = network(points)
        for name in names:
            if name not in rows:
                rows[name] = forward_differences(
                    lambda: network(points), network.get_parameter(name), periods.get(name), base
                )
    return torch.cat([rows[name] for name in names])


def _embedding_rows(network: Network, names: list[str], points: Tensor) -> dict[str, Tensor]:
    """Rows of the Jacobian that belong to weights of sinusoidal embeddings, by parameter."""
    network = fast_copy(network)  # with hooks of its own
    embeddings: dict[str, SinusoidalEmbedding] = {}
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def remember(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _, inputs, angles: seen.update({name: (inputs[0], angles)})

    for name, module in network.named_modules():
        if isinstance(module, SinusoidalEmbedding) and {f"{name}.weight", f"{name}.bias"} & set(names):
            embeddings[name] = module
            module.register_forward_hook(remember(name))
    if not embeddings:
        return {}
    with torch.enable_grad():
        values = network(points)
        angles = [seen[name][1] for name in embeddings]
        cotangents = [
            torch.autograd.grad(values[:, channel].sum(), angles, retain_graph=True)
            for channel in range(network.out_features)
        ]
    rows: dict[str, Tensor] = {}
    with torch.no_grad():
        for index, (name, module) in enumerate(embeddings.items()):
            by_channel = [module.gradients_by_sample(seen[name][0], of[index]) for of in cotangents]
            for kind in ("weight", "bias"):
                if f"{name}.{kind}" in names:
                    # (points, out_features, *shape) -> (weights, points * out_features)
                    gradients = torch.stack([of[kind] for of in by_channel], dim=1)
                    rows[f"{name}.{kind}"] = gradients.flatten(0, 1).flatten(1).T
    return rows


def forward_differences(
    values: Callable[[], Tensor], parameter: Tensor, period: Tensor | None, base: Tensor
) -> Tensor:
    """Derivatives of some values in each weight of one parameter, whose weights are moved and put back.

    Args:
        values: Computes them with the weights as they are, any shape.
        parameter: Contiguous, without gradients.
        period: Of its weights; None where they have none.
        base: The values before any weight is moved.

    Returns:
        (weights, number of values).
    """
    step = torch.tensor(_STEP) if period is None else period * _PERIOD_SHARE
    steps = step.expand(parameter.shape).flatten().tolist()
    flat = parameter.view(-1)
    rows = []
    for index, value in enumerate(flat.tolist()):
        flat[index] = value + steps[index]
        # float32 rounds the sum: divide by what was really added
        added = float(flat[index]) - value
        rows.append(((values() - base) / added).flatten())
        flat[index] = value
    return torch.stack(rows)
