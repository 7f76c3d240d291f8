from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small_fits import GRID, IMAGE, coin, fitted, quinr

from quinr_pl.codec import Compensated, Nearest, compress, decode, encode
from quinr_pl.codec.rounding.compensated import CompensatedQuantizer
from quinr_pl.codec.rounding.compensation import Compensation
from quinr_pl.codec.rounding.curvature import gauss_newton, sample_coordinates
from quinr_pl.network import COIN, CoordinateNetwork

COMPENSATED = Compensated()


def compensated_levels(
    values: np.ndarray, steps: np.ndarray, hessian: np.ndarray, damping: float, rounded: int | None = None
) -> np.ndarray:
    return Compensation.of(hessian, steps, damping, rounded).round(values, steps, rounded)


@pytest.fixture(scope="module", params=[coin, quinr], ids=["COIN", "QuINR"])
def network(request: pytest.FixtureRequest) -> CoordinateNetwork:
    torch.manual_seed(0)
    return fitted(request.param(), 300)


def test_matrix_is_that_of_autograd(network: CoordinateNetwork) -> None:
    points = sample_coordinates(IMAGE, 50)
    names = [name for name, _ in network.named_parameters()]
    rows = []
    for value in network(points).flatten():
        gradients = torch.autograd.grad(value, list(network.parameters()), retain_graph=True)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    jacobian = torch.stack(rows).double().numpy()
    before = [parameter.clone() for parameter in network.parameters()]
    difference = gauss_newton(network, names, points) - jacobian.T @ jacobian / len(rows)
    assert np.linalg.norm(difference) < 0.03 * np.linalg.norm(jacobian.T @ jacobian / len(rows))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_sample_has_no_repetition() -> None:
    points = sample_coordinates(IMAGE, 10**6)
    assert len(points) == IMAGE.pixels == len(points.unique(dim=0))


def test_independent_weights_are_rounded_to_the_nearest() -> None:
    generator = np.random.default_rng(0)
    values, steps = generator.normal(size=30), generator.uniform(0.1, 0.5, 30)
    levels = compensated_levels(values, steps, np.diag(generator.uniform(1, 2, 30)), 0.01)
    np.testing.assert_array_equal(levels, np.rint(values / steps))


def test_correlated_weights_come_near_the_best_levels() -> None:
    generator = np.random.default_rng(1)
    nearest, compensated, best = 0.0, 0.0, 0.0
    for _ in range(20):
        root = generator.normal(size=(5, 5)) + 2
        hessian, values = root.T @ root, generator.normal(size=5) * 3

        def error(levels: np.ndarray, hessian: np.ndarray = hessian, values: np.ndarray = values) -> float:
            return float((levels - values) @ hessian @ (levels - values))

        nearest += error(np.rint(values))
        compensated += error(compensated_levels(values, np.ones(5), hessian, 1e-6))
        around = itertools.product(*[np.floor(value) + np.arange(-1, 3) for value in values])
        best += min(error(np.array(levels)) for levels in around)
    assert compensated < 0.5 * nearest
    assert compensated < 3 * best


def mean_squared_error(network: CoordinateNetwork, other: CoordinateNetwork) -> float:
    with torch.no_grad():
        return float(((network(GRID) - other(GRID)) ** 2).mean())


@pytest.mark.parametrize("bits", [6, 8])
def test_a_fraction_of_the_error_at_the_same_size(network: CoordinateNetwork, bits: int) -> None:
    data = compress(network, IMAGE, Nearest(bits=bits)).data
    compensated = CompensatedQuantizer(network, IMAGE, COMPENSATED).at_size(len(data))
    encoded = encode(compensated, IMAGE)
    assert 0.95 * len(data) <= len(encoded.data) <= len(data)
    error = mean_squared_error(network, decode(encoded.data).network)
    assert error < 0.5 * mean_squared_error(network, decode(data).network)


def test_rate_is_kept_and_deterministic(network: CoordinateNetwork) -> None:
    config = Compensated(rate=6.5)
    data = compress(network, IMAGE, config).data
    assert 6.5 * 0.94 <= 8 * len(data) / network.parameter_count() <= 6.5
    assert compress(network, IMAGE, config).data == data


def test_the_smallest_file_comes_back_when_none_is_small_enough(network: CoordinateNetwork) -> None:
    quantized = CompensatedQuantizer(network, IMAGE, COMPENSATED).at_size(1)
    assert (
        len(encode(quantized, IMAGE).data) < len(encode(Nearest().quantize(network, IMAGE), IMAGE).data) / 3
    )


@pytest.mark.parametrize("rate", [4.0, 5.0, 6.0, 7.5])
def test_an_asked_size_is_used_up(network: CoordinateNetwork, rate: float) -> None:
    most = rate * network.parameter_count() / 8
    quantized = CompensatedQuantizer(network, IMAGE, COMPENSATED).at_size(most)
    assert 0.97 * most <= len(encode(quantized, IMAGE).data) <= most


def test_large_networks_are_split(monkeypatch: pytest.MonkeyPatch, network: CoordinateNetwork) -> None:
    monkeypatch.setattr("quinr_pl.codec.rounding.compensated.LARGEST_GROUP", 60)
    quantizer = CompensatedQuantizer(network, IMAGE, COMPENSATED)
    quantized = quantizer.quantize(quantizer.codes(100))
    assert list(quantized.tensors) == [name for name, _ in network.named_parameters()]


def test_curvature_while_the_others_move_along() -> None:
    root = np.random.default_rng(3).normal(size=(8, 5))
    hessian = root.T @ root
    compensation = Compensation.of(hessian, np.ones(5), 0.0)
    result = compensation.conditional_curvature()
    for place, weight in enumerate(compensation.order):
        later = compensation.order[place + 1 :]
        coupling = hessian[weight, later]
        schur = hessian[weight, weight] - coupling @ np.linalg.solve(hessian[np.ix_(later, later)], coupling)
        assert result[weight] == pytest.approx(schur)


def test_rows_of_different_weight_get_steps_of_their_own() -> None:
    torch.manual_seed(1)
    network = COIN(layers=2, width=24)
    with torch.no_grad():
        network.output.weight[:, :12] *= 100  # what the first units say counts a hundred times as much
        network.hidden[1].weight[12:] *= 10
    codes = CompensatedQuantizer(network, IMAGE, COMPENSATED).codes(50)["hidden.1.weight"]
    assert codes.shape == (24,)
    assert codes[:12].mean() < codes[12:].mean() - 24  # eight codes to an octave


def test_only_the_first_weights_are_rounded() -> None:
    root = np.random.default_rng(2).normal(size=(6, 6))
    values = np.linspace(-2, 2, 6)
    levels = compensated_levels(values, np.full(6, 0.5), root.T @ root, 1e-9, rounded=4)
    np.testing.assert_array_equal(levels[:4], np.rint(levels[:4]))
    # Where nothing is rounded any more, the moved weights sit at the minimum given the rounded ones.
    errors = 0.5 * levels - values
    np.testing.assert_allclose((root.T @ root @ errors)[4:], 0, atol=1e-5)


def test_update_is_the_root_of_the_inverse() -> None:
    factors = np.random.default_rng(4).normal(size=(9, 6))
    hessian, steps = factors.T @ factors, np.exp2(np.arange(-3.0, 3.0))
    compensation = Compensation.of(hessian, steps, 0.1, rounded=4)
    damped = hessian + np.diag(0.1 * np.mean(hessian.diagonal() * steps**2) / steps**2)
    inverse = np.linalg.inv(damped)[np.ix_(compensation.order, compensation.order)]
    assert np.allclose(compensation.update.T @ compensation.update, inverse)
    assert np.array_equal(compensation.update, np.triu(compensation.update))


def test_digits_of_single_precision_are_no_obstacle() -> None:
    # One direction counts 10^6 times as much as the others, whose curvature is the noise of sums.
    generator = np.random.default_rng(5)
    direction = generator.normal(size=40)
    hessian = np.outer(direction, direction) + 1e-6 * generator.normal(size=(40, 40))
    assert np.linalg.eigvalsh((hessian + hessian.T) / 2)[0] < 0
    values, steps = generator.normal(size=40), np.full(40, 0.1)
    for damping in (1e-2, 1e-4, 1e-7):
        compensation = Compensation.of(hessian, steps, damping)
        assert np.all(compensation.conditional_curvature() > 0)
        levels = compensation.nearest(values, steps, 8)
        assert (direction @ (levels * steps - values)) ** 2 < (
            direction @ (np.rint(values / steps) * steps - values)
        ) ** 2
