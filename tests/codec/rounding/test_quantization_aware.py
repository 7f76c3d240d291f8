from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_pl.codec import Nearest, compress, decode
from quinr_pl.codec.coding.mixture import coded_bits, symbol_costs
from quinr_pl.codec.rounding.aware import (
    QuantizationAwareTraining,
    QuantizationTraining,
    RateModel,
    steps_for_rate,
)
from quinr_pl.codec.rounding.curvature import gauss_newton, sample_coordinates, total_curvature
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN
from quinr_pl.ops.soft_rounding import soft_round, soft_round_slope
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

IMAGE = SignalSpec(IMAGE_8, (16, 20), 3, 0.0, 255.0)


@pytest.fixture
def network() -> COIN:
    torch.manual_seed(0)
    return COIN(layers=2, width=10)


def loss_of(network: COIN) -> torch.Tensor:
    grid = coordinates((16, 20))
    return ((network(grid) - 0.5 - 0.4 * torch.sin(3 * grid[:, :1] + 2 * grid[:, 1:])) ** 2).mean()


@pytest.mark.parametrize("temperature", [1.0, 0.3, 0.1])
def test_soft_rounding(temperature: float) -> None:
    values = torch.linspace(-2.3, 2.4, 50, dtype=torch.float64, requires_grad=True)
    rounded, slope = soft_round(values, temperature), soft_round_slope(values, temperature)
    assert torch.allclose(torch.autograd.grad(rounded.sum(), values)[0], slope)
    whole = torch.arange(-3.0, 4.0)
    assert torch.allclose(soft_round(whole, temperature), whole, atol=1e-6)
    away = soft_round(torch.tensor([0.2]), temperature).item()
    assert 0 < away < 0.2 if temperature < 1 else away == pytest.approx(0.2, abs=0.03)


def test_probes_agree_with_the_matrix(network: COIN) -> None:
    points = sample_coordinates(IMAGE, 200)
    for name, curvature in total_curvature(network, points, probes=200).items():
        diagonal = gauss_newton(network, [name], points).diagonal()
        assert curvature == pytest.approx(diagonal.sum(), rel=0.25)


@pytest.mark.parametrize("rate", [3.0, 6.0])
def test_steps_for_rate(network: COIN, rate: float) -> None:
    steps = steps_for_rate(network, IMAGE, rate)
    encoded = compress(network, IMAGE, Nearest(step_sizes=steps))
    bits = 8 * (encoded.sections["weights"] + encoded.sections["step_sizes"]) / network.parameter_count()
    assert bits == pytest.approx(rate, rel=0.05)


def test_costs_are_those_of_the_coder() -> None:
    levels = np.rint(np.random.default_rng(0).laplace(0, 7, 2000)).astype(np.int64)
    assert symbol_costs(levels)[levels + 511].sum() == pytest.approx(coded_bits(levels), rel=0.02)
    model = RateModel()
    model.refresh("weight", torch.from_numpy(levels))
    values = torch.from_numpy(levels) + 0.25
    costs, slopes = model("weight", values)
    nearby = model("weight", values + 0.1)[0]
    assert torch.allclose((nearby - costs) / 0.1, slopes, atol=1e-3)


def test_nothing_happens_before_the_start(network: COIN) -> None:
    training = QuantizationAwareTraining(network, IMAGE, QuantizationTraining(start=0.5))
    before = [parameter.clone() for parameter in network.parameters()]
    training.before_step(0.4)
    training.after_step()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert not training.steps


def test_hard_phase_sees_what_the_file_holds(network: COIN) -> None:
    training = QuantizationAwareTraining(network, IMAGE, QuantizationTraining(start=0, hard=0))
    before = [parameter.clone() for parameter in network.parameters()]
    training.before_step(0.0)
    seen = {name: parameter.clone() for name, parameter in network.named_parameters()}
    loss_of(network).backward()
    training.after_step()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    config = Nearest(step_sizes=training.steps)
    decoded = decode(compress(network, IMAGE, config).data).network
    period = network.parameter_periods()
    for name, values in seen.items():
        difference = decoded.get_parameter(name) - values
        if name in period:
            difference = torch.remainder(difference + period[name] / 2, period[name]) - period[name] / 2
            assert difference.abs().max() <= training.steps[name]
        else:
            assert difference.abs().max() < 1e-6


def test_gradients_are_those_of_the_whole_loss(network: COIN) -> None:
    settings = QuantizationTraining(start=0, hard=1, rate_weight=0.1)
    training = QuantizationAwareTraining(network, IMAGE, settings)
    training.before_step(0.5)
    loss_of(network).backward()
    training.after_step()
    temperature = 1.0 * 0.1**0.5
    name, index = "hidden.1.weight", (2, 3)
    parameter = network.get_parameter(name)
    gradient = float(parameter.grad[index])  # type: ignore[index]
    steps = training.steps

    @torch.no_grad()
    def whole_loss(change: float) -> float:
        other = COIN(layers=2, width=10).double()
        for (key, copy), original in zip(other.named_parameters(), network.parameters(), strict=True):
            value = original.double().clone()
            if key == name:
                value[index] += change
                rate = training._rate(name, value[index] / steps[name])[0]
            copy.copy_(soft_round(value / steps[key], temperature) * steps[key])
        return float(loss_of_double(other) + 0.1 * rate / IMAGE.pixels)

    def loss_of_double(other: torch.nn.Module) -> torch.Tensor:
        grid = coordinates((16, 20)).double()
        return ((other(grid) - 0.5 - 0.4 * torch.sin(3 * grid[:, :1] + 2 * grid[:, 1:])) ** 2).mean()

    change = 0.01 * steps[name]
    assert gradient == pytest.approx((whole_loss(change) - whole_loss(-change)) / (2 * change), rel=0.05)


def test_a_rate_term_makes_files_smaller(network: COIN) -> None:
    sizes = []
    for rate_weight in (0.0, 1.0):
        torch.manual_seed(0)
        other = COIN(layers=2, width=10)
        settings = QuantizationTraining(0, 0.8, rate=6, rate_weight=rate_weight, learn_steps=rate_weight > 0)
        training = QuantizationAwareTraining(other, IMAGE, settings)
        optimizer = torch.optim.Adam(other.parameters(), lr=1e-3)
        for step in range(60):
            training.before_step(step / 60)
            optimizer.zero_grad()
            loss_of(other).backward()
            training.after_step()
            optimizer.step()
        sizes.append(len(compress(other, IMAGE, Nearest(step_sizes=training.steps)).data))
    assert sizes[1] < 0.95 * sizes[0]


def test_state_survives(network: COIN) -> None:
    training = QuantizationAwareTraining(network, IMAGE, QuantizationTraining(start=0))
    training.before_step(0.1)
    loss_of(network).backward()
    training.after_step()
    other = QuantizationAwareTraining(network, IMAGE, QuantizationTraining(start=0))
    other.load_state_dict(training.state_dict())
    assert other.steps == training.steps


@pytest.mark.parametrize(
    "arguments", [{"start": 0.9, "hard": 0.8}, {"rate": 0}, {"rate_weight": -1.0}, {"learn_steps": True}]
)
def test_bad_settings(arguments: dict[str, float]) -> None:
    with pytest.raises(QuinrError, match=r"--trainer\.callbacks\.training"):
        QuantizationTraining(**arguments)  # type: ignore[arg-type]
