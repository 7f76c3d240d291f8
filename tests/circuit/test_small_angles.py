"""Angles that need no reduction to a quadrant take fewer operations, and give the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu import call
from quinr_pl.circuit.engines.cpu.engine import CpuEngine


def _results(scale: float, dtype: torch.dtype) -> list[Tensor]:
    """Values of a layer and all its gradients."""
    ansatz = Ansatz(qubits=3, angles=3, uploads=2)
    generator = torch.Generator().manual_seed(5)
    shapes = [(50, 2), (ansatz.features_count, 2), (ansatz.features_count,), ansatz.weights_shape]
    leaves = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]
    with torch.no_grad():
        leaves[0] *= 20  # sines of large arguments reach ±1
    values = CpuEngine().sine_layer(ansatz, *leaves, omega0=30.0, angle_scale=scale)
    weights = torch.randn(values.shape, generator=generator, dtype=dtype)
    return [values.detach(), *torch.autograd.grad(values, leaves, weights)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [-2 * call.SMALL, 0.3, 2 * call.SMALL])
def test_the_short_way_gives_the_bits_of_the_long_one(
    scale: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = _results(scale, dtype)
    monkeypatch.setattr(call, "SMALL", -1.0)
    call.layout.cache_clear()
    try:
        long = _results(scale, dtype)
    finally:
        call.layout.cache_clear()
    assert all(map(torch.equal, short, long))
