"""A step of Adam by kernels, against torch's optimizer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from quinr_pl.native.threads import native_threads
from quinr_pl.ops.adam import adam_step

_BETAS, _EPS, _RATE = (0.9, 0.99), 1e-8, 0.1


def _leaves(dtype: torch.dtype) -> list[Tensor]:
    """Parameters of sizes around whole rows of the kernel, and one that threads share."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(1,), (31,), (32,), (5, 13), (0,), (300, 1001)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def _moved(dtype: torch.dtype, steps: int = 3) -> list[Tensor]:
    """Parameters after steps of the kernels, with the corrections of Adam in the size."""
    parameters = _leaves(dtype)
    first, second = ([torch.zeros_like(one) for one in parameters] for _ in range(2))
    for step in range(1, steps + 1):
        gradients = [(one * step).cos() for one in _leaves(dtype)]
        scale = (1 - _BETAS[1] ** step) ** 0.5
        size = torch.tensor(-_RATE * scale / (1 - _BETAS[0] ** step), dtype=dtype)
        adam_step(parameters, gradients, first, second, size, _BETAS, _EPS * scale)
    return parameters


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
def test_steps_are_those_of_torch(dtype: torch.dtype, bound: float) -> None:
    parameters = _leaves(dtype)
    optimizer = torch.optim.Adam(parameters, lr=_RATE, betas=_BETAS, eps=_EPS)
    for step in range(1, 4):
        for parameter, start in zip(parameters, _leaves(dtype), strict=True):
            parameter.grad = (start * step).cos()
        optimizer.step()
    for found, expected in zip(_moved(dtype), parameters, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=bound)


def test_bytes_do_not_depend_on_threads() -> None:
    found = []
    for count in (1, 2, 3):
        with native_threads(count=count):
            found.append(_moved(torch.float32))
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


def test_a_graph_notices_that_a_parameter_moved() -> None:
    parameter = torch.ones(40, requires_grad=True)
    value = parameter.square().sum()
    moments = [torch.zeros(40)], [torch.zeros(40)]
    with torch.no_grad():
        adam_step([parameter], [torch.ones(40)], *moments, torch.tensor(-0.1), _BETAS, _EPS)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_parameters_in_another_order_of_memory_move_alike() -> None:
    generator = torch.Generator().manual_seed(1)
    start, gradient = (torch.randn(7, 9, generator=generator) for _ in range(2))
    found = []
    for parameter in (start.clone(), start.T.contiguous().T):
        first, second = [torch.zeros_like(parameter)], [torch.zeros_like(parameter)]
        adam_step([parameter], [gradient], first, second, torch.tensor(-0.1), _BETAS, _EPS)
        found.append(parameter)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
