"""The context model on rows of several tiles and chunks, against torch's operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quinr_pl.native.threads import native_threads
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY, SCALE_OCTAVES, ContextModel
from quinr_pl.ops.context import bits_by_layers, context_bits
from quinr_pl.ops.laplace import LaplaceContext


def _gradients(columns: int, neighbours: int, width: int, kernels: bool, dtype: torch.dtype) -> list[Tensor]:
    """Bits, and the gradients of their weighed sum."""
    torch.manual_seed(columns)
    model = ContextModel(2, neighbours, width).to(dtype)
    context = LaplaceContext(model.offsets, SCALE_OCTAVES, LEAST_PROBABILITY)
    hidden, output = model.hidden, model.output
    grids = [torch.randn(53, columns, dtype=dtype) * 2, torch.randn(27, -(-columns // 2), dtype=dtype) * 2]
    weights = [hidden.weight, hidden.bias, output.weight, output.bias, model.grid.bias]
    leaves = [leaf.requires_grad_() for leaf in (*weights, *grids)]
    if kernels:
        bits = context_bits(*leaves[:5], *grids, context=context)
    else:
        layers = [lambda x, one=one: (one(x.T)).T for one in (hidden, output)]
        bits = bits_by_layers(*layers, model.grid.bias, grids, context)
    return [bits.detach(), *torch.autograd.grad((bits * bits.new_tensor([0.7, 1.3])).sum(), leaves)]


@pytest.mark.parametrize(("columns", "neighbours", "width"), [(130, 24, 5), (257, 12, 3), (400, 5, 2)])
def test_gradients_are_those_of_torch(columns: int, neighbours: int, width: int) -> None:
    case = columns, neighbours, width
    found, expected = (_gradients(*case, kernels, torch.float64) for kernels in (True, False))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_bytes_do_not_depend_on_threads(wake_all_threads: None) -> None:
    found = []
    for count in (1, 2, 3):
        with native_threads(count=count):
            found.append(_gradients(300, 12, 4, True, torch.float32))
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))
