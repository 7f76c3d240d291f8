"""The context model on rows of several tiles and chunks, against torch's operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quinr_pl.native.threads import native_threads
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY, SCALE_OCTAVES, ContextModel
from quinr_pl.ops.context import bits_by_layers, context_bits
from quinr_pl.ops.laplace import LaplaceContext


def _gradients(
    columns: int, neighbours: int, width: int, kernels: bool, dtype: torch.dtype, layers: int = 1
) -> list[Tensor]:
    """Bits, and the gradients of their weighed sum."""
    torch.manual_seed(columns)
    model = ContextModel(2, neighbours, width, layers).to(dtype)
    context = LaplaceContext(model.offsets, SCALE_OCTAVES, LEAST_PROBABILITY)
    grids = [torch.randn(53, columns, dtype=dtype) * 2, torch.randn(27, -(-columns // 2), dtype=dtype) * 2]
    weights = [part for layer in model.layers for part in (layer.weight, layer.bias)]
    leaves = [leaf.requires_grad_() for leaf in (*weights, model.grid.bias, *grids)]
    if kernels:
        bits = context_bits(*leaves, context=context)
    else:
        by_calls = [lambda x, one=one: (one(x.T)).T for one in model.layers]
        bits = bits_by_layers(by_calls, model.grid.bias, grids, context)
    return [bits.detach(), *torch.autograd.grad((bits * bits.new_tensor([0.7, 1.3])).sum(), leaves)]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("columns", "neighbours", "width"), [(130, 24, 5), (257, 12, 3), (400, 5, 9)])
def test_gradients_are_those_of_torch(columns: int, neighbours: int, width: int, layers: int) -> None:
    case = columns, neighbours, width
    found, expected = (_gradients(*case, kernels, torch.float64, layers) for kernels in (True, False))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_bytes_do_not_depend_on_threads(wake_all_threads: None) -> None:
    found = []
    for count in (1, 2, 3):
        with native_threads(count=count):
            found.append(_gradients(300, 12, 4, True, torch.float32, layers=2))
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))
