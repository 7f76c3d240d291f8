"""What weights are judged by, and how it changes with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fits import small_latents

from quinr_pl.codec.rounding import objectives
from quinr_pl.codec.rounding.levels import reduced_parameters
from quinr_pl.codec.rounding.objectives import LatentBits, Objective, SignalError, objective_of
from quinr_pl.network import Network
from quinr_pl.signals import IMAGE_8, SignalSpec

SHAPE = (48, 64)
IMAGE = SignalSpec(IMAGE_8, SHAPE, 3, 0.0, 255.0)


@pytest.fixture
def network() -> Network:
    """One whose latents are not all alike, and which prices them a little."""
    torch.manual_seed(3)
    network = small_latents(48, 64, 4)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in network.integers():
                parameter.normal_(std=1.5)
            else:
                parameter.add_(0.03 * torch.randn_like(parameter))
    return network.requires_grad_(False).eval()


def signal_of(network: Network) -> torch.Tensor:
    return network.signal(0, IMAGE.pixels, SHAPE).clamp(0, 1)


def judged(network: Network, targets: torch.Tensor, of_bits: bool) -> tuple[Objective, np.ndarray]:
    """An objective of all weights that it depends on, and these."""
    values = reduced_parameters(network)
    names = [name for name in values if name.startswith("context.") == of_bits]
    found = objective_of(network, names, IMAGE, targets)
    assert isinstance(found, LatentBits if of_bits else SignalError)
    return found, torch.cat([values[name].flatten() for name in names]).double().numpy()


def at(objective: Objective, weights: np.ndarray) -> float:
    objective.put(weights)
    return objective.value()


def test_error_is_that_of_known_pixels(network: Network) -> None:
    targets = signal_of(network)
    wrong = (targets + 0.1 * torch.randn_like(targets)).clamp(0, 1)
    wrong[:500] = torch.nan
    objective, weights = judged(network, wrong, of_bits=False)
    known = (targets[500:] - wrong[500:]).double().square().sum() / targets.numel()
    assert at(objective, weights) == pytest.approx(float(known), rel=1e-4)


def test_bits_are_those_of_the_network(network: Network) -> None:
    objective, weights = judged(network, signal_of(network), of_bits=True)
    assert at(objective, weights) == pytest.approx(float(network.integer_bits().detach()))


@pytest.mark.parametrize("of_bits", [False, True])
def test_gradient_is_the_slope(network: Network, of_bits: bool) -> None:
    targets = (signal_of(network) + 0.05).clamp(0, 1)
    objective, weights = judged(network, targets, of_bits)
    objective.put(weights)
    gradient = objective.gradient()
    along = gradient / np.linalg.norm(gradient)
    step = 1e-3
    slope = (at(objective, weights + step * along) - at(objective, weights - step * along)) / (2 * step)
    assert slope == pytest.approx(float(np.linalg.norm(gradient)), rel=0.02)


@pytest.mark.parametrize("hidden", [0, 700])
def test_curvature_tells_the_error_near_a_minimum(network: Network, hidden: int) -> None:
    targets = signal_of(network)
    targets[:hidden] = torch.nan
    objective, weights = judged(network, targets, of_bits=False)
    curvature = objective.curvature()
    np.testing.assert_allclose(curvature, curvature.T)
    generator = np.random.default_rng(0)
    for _ in range(3):
        away = 1e-3 * generator.normal(size=len(weights))
        assert at(objective, weights + away) == pytest.approx(away @ curvature @ away, rel=0.05)


def test_curvature_of_bits_is_half_the_second_derivative(network: Network) -> None:
    objective, weights = judged(network, signal_of(network), of_bits=True)
    objective.put(weights)
    curvature = objective.curvature()
    values, vectors = np.linalg.eigh(curvature)
    assert values.min() > 0
    along = 0.01 * vectors[:, -1]
    second = at(objective, weights + along) + at(objective, weights - along) - 2 * at(objective, weights)
    assert second == pytest.approx(2 * along @ curvature @ along, rel=0.1)


@pytest.mark.parametrize("of_bits", [False, True])
def test_a_part_stands_for_a_large_signal(
    network: Network, of_bits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = signal_of(network)
    noisy = (targets + 0.05 * torch.randn_like(targets)).clamp(0, 1)
    whole, weights = judged(network, noisy, of_bits)
    whole.put(weights)
    exact, curvature = whole.value(), np.trace(whole.curvature())
    monkeypatch.setattr(objectives, "_MOST_PIXELS", 24 * 64)
    monkeypatch.setattr(objectives, "_SAMPLE", 500)
    monkeypatch.setattr(objectives, "_MIDDLE", 16 * 64)
    part, _ = judged(network, noisy, of_bits)
    part.put(weights)
    assert (part.value() == exact) == of_bits  # bits of all latents take one pass
    assert part.value() == pytest.approx(exact, rel=0.1)
    sampled = np.trace(part.curvature())
    assert sampled == pytest.approx(curvature, rel=0.3)
    assert sampled != pytest.approx(curvature, rel=1e-6)
