"""A step of Adam by kernels, against torch's optimizer."""

from __future__ import annotations

import pytest
import torch
from cuda_emulation import NEEDS_COMPILER, emulate
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.native.threads import native_threads
from quinr_pl.ops import adam
from quinr_pl.ops.adam import adam_step
from quinr_pl.ops.cuda import adam as on_cuda

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


def _moved_by_torch(dtype: torch.dtype, parameters: list[Tensor]) -> list[Tensor]:
    """The same by torch's optimizer."""
    optimizer = torch.optim.Adam(parameters, lr=_RATE, betas=_BETAS, eps=_EPS)
    for step in range(1, 4):
        for parameter, start in zip(parameters, _leaves(dtype), strict=True):
            parameter.grad = (start * step).cos()
        optimizer.step()
    return parameters


dtypes = pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])


@dtypes
def test_steps_are_those_of_torch(dtype: torch.dtype, bound: float) -> None:
    for found, expected in zip(_moved(dtype), _moved_by_torch(dtype, _leaves(dtype)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=bound)


@NEEDS_COMPILER
@dtypes
def test_steps_on_cuda_are_those_of_torch(
    dtype: torch.dtype, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate(monkeypatch)
    monkeypatch.setitem(adam._BY_DEVICE, "cpu", on_cuda.adam_step)
    monkeypatch.setattr(on_cuda, "_MOST_MEMBERS", 4)  # more arrays than a launch takes
    for found, expected in zip(_moved(dtype), _moved_by_torch(dtype, _leaves(dtype)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=bound)


def test_a_kernel_that_does_not_compile_leaves_the_steps_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise QuinrError("the adam of latents: no compiler")

    monkeypatch.setattr("quinr_pl.native.cuda_code.Program.kernel", refuse)
    monkeypatch.setitem(adam._BY_DEVICE, "cpu", on_cuda.adam_step)
    monkeypatch.setattr(adam, "_FAILED", set())
    with pytest.warns(UserWarning, match="no compiler; torch's operations take their place") as warned:
        found = _moved(torch.float32)
    assert len(warned) == 1
    expected = _moved_by_torch(torch.float32, _leaves(torch.float32))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-6)


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
