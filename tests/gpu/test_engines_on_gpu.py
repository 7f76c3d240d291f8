"""Engines on a GPU against torch operations in double precision on the CPU."""

from __future__ import annotations

import pytest
import torch

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import ENGINES, choose

FAST = [
    name for name in ENGINES if ENGINES[name].exact and name not in ("auto", "lightning", "lightning_vjp")
]


def values_and_gradients(engine, ansatz, angles, weights, cotangent):
    leaves = [angles.clone().requires_grad_(), weights.clone().requires_grad_()]
    probabilities = engine.probabilities(ansatz, *leaves)
    return [probabilities.detach(), *torch.autograd.grad(probabilities, leaves, cotangent)]


@pytest.mark.parametrize("qubits", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("name", FAST)
def test_values_and_gradients(gpu, name, qubits):
    if reason := ENGINES[name]().refusal(gpu):
        pytest.skip(reason)
    ansatz = Ansatz(qubits, 2 * qubits + 1, 2, 2, "own")
    angles = torch.randn(77, ansatz.features_count, dtype=torch.float64)
    weights = torch.randn(ansatz.weights_shape, dtype=torch.float64)
    cotangent = torch.randn(77, ansatz.states, dtype=torch.float64)
    expected = values_and_gradients(choose("torch"), ansatz, angles, weights, cotangent)
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-11)):
        given = [tensor.to(gpu, dtype) for tensor in (angles, weights, cotangent)]
        found = values_and_gradients(choose(name, gpu), ansatz, *given)
        for one, other in zip(found, expected, strict=True):
            assert (one.cpu().double() - other).norm() <= tolerance * other.norm(), dtype
