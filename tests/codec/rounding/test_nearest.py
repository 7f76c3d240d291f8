"""Each weight to the nearest level of its layer, periodic ones modulo their period."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from quinr_pl.codec import Nearest
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, QuINR
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

IMAGE = SignalSpec(IMAGE_8, (6, 9), 3, 0.0, 255.0)


@pytest.mark.parametrize("bits", [2, 4, 8, 12, 16])
def test_quantization_error_is_half_a_step(bits: int) -> None:
    network = COIN(width=30)
    quantized = Nearest(bits=bits).quantize(network, IMAGE)
    periods = network.parameter_periods()
    for name, parameter in network.named_parameters():
        tensor = quantized.tensors[name]
        if name.endswith("weight"):
            assert tensor.levels.max() - tensor.levels.min() < 2**bits
        difference = (tensor.dequantize() - parameter).detach().double()
        if name in periods:
            difference -= periods[name].double() * torch.round(difference / periods[name].double())
        assert difference.abs().max() <= tensor.steps.max() / 2 + 1e-7


def test_periods_differ_by_element() -> None:
    network = QuINR(qubits=2, angles=2, uploads=1, layers=1)
    weight = network.get_parameter("circuits.0.weight")
    with torch.no_grad():
        weight.fill_(3 * math.pi + 0.1)
    rounding = Nearest(step_sizes={"circuits.0.weight": 2**-8})
    values = rounding.quantize(network, IMAGE).dequantize()["circuits.0.weight"].flatten().numpy()
    expected = np.full(10, 0.1 - math.pi)
    # RZ, RX: 3π + 0.1 is 0.1 - π modulo 2π; CRZ, the fifth and sixth weight: modulo 4π too.
    np.testing.assert_allclose(values, expected, atol=2**-8)
    with torch.no_grad():
        weight.fill_(1.5 * math.pi)
    values = rounding.quantize(network, IMAGE).dequantize()["circuits.0.weight"].flatten().numpy()
    expected = np.full(10, -0.5 * math.pi)
    expected[4:6] = 1.5 * math.pi
    np.testing.assert_allclose(values, expected, atol=2**-8)


def test_reduction_leaves_the_function_alone() -> None:
    network = QuINR(qubits=3, angles=5, readout="linear")
    with torch.no_grad():
        for name, period in network.parameter_periods().items():
            parameter = network.get_parameter(name)
            parameter.add_(period * torch.randint(-3, 4, parameter.shape))
        before = network(coordinates((5, 5)))
        Nearest(bits=16).quantize(network, IMAGE).load_into(network)
        assert (network(coordinates((5, 5))) - before).abs().max() < 2e-3


@pytest.mark.parametrize(
    "arguments", [{"bits": 1}, {"bits_by_tensor": {"w": 17}}, {"step_sizes": {"w": 0.0}}]
)
def test_bad_quantization(arguments: dict[str, Any]) -> None:
    with pytest.raises(QuinrError, match=r"must (lie between|be positive)"):
        Nearest(**arguments)
