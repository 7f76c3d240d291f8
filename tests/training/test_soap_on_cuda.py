"""SOAP's kernel for CUDA, run on the CPU, against torch's operations."""

from __future__ import annotations

import pytest
import torch
from cuda_emulation import NEEDS_COMPILER, EmulatedKernel, emulate, emulate_soap
from torch import nn

from benchmarks.gpu.operations import counted
from quinr_pl.errors import QuinrError
from quinr_pl.ops import adam
from quinr_pl.ops.cuda import adam as cuda_adam
from quinr_pl.training.matrix_batch import MatrixBatch
from quinr_pl.training.soap import SOAP

pytestmark = NEEDS_COMPILER
SHAPES = [(7, 2), (9, 9), (20, 20), (17, 20), (2, 1, 6), (2, 3, 4), (3, 3, 3, 3), (1, 1, 5), (9,)]
# As in test_soap.py: after eight steps no direction is left that a new eigenbasis would have to choose.
OPTIONS = {"betas": (0.9, 0.95), "precondition_frequency": 8, "eps": 1e-2}


def fitted(steps: int, longest: int, shapes, dtype=torch.float32) -> list[torch.Tensor]:
    """Parameters, then their moments, after steps towards zero along noisy gradients."""
    draw = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, generator=draw).to(dtype)) for shape in shapes]
    groups = [
        {"params": parameters[::2], "lr": 1e-2, "weight_decay": 0.3},
        {"params": parameters[1::2], "lr": 2e-2},
    ]
    optimizer = SOAP(groups, max_precondition_dim=longest, **OPTIONS)
    for _ in range(steps):
        for parameter in parameters:
            noise = torch.randn(parameter.shape, generator=draw).to(dtype)
            parameter.grad = parameter.detach() + noise
        optimizer.step()
    moments = [optimizer.state[p][name] for p in parameters for name in ("exp_avg", "exp_avg_sq")]
    return [*(p.detach().clone() for p in parameters), *(moment.clone() for moment in moments)]


def has_kernels(monkeypatch) -> list[bool]:
    """Kernels take the steps on the CPU; whether they did, batch by batch."""
    taken = []
    step = MatrixBatch.step_in_kernels

    def in_kernels(batch, coefficients, refresh):
        taken.append(step(batch, coefficients, refresh))
        return taken[-1]

    emulate(monkeypatch)
    emulate_soap(monkeypatch)
    monkeypatch.setattr(MatrixBatch, "step_in_kernels", in_kernels)
    return taken


@pytest.mark.parametrize("longest", [10000, 8])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-9)], ids=str)
def test_steps_are_those_of_torch(longest, dtype, tolerance, monkeypatch):
    expected = fitted(20, longest, SHAPES, dtype)  # the first bases are eigh's, and not unique
    taken = has_kernels(monkeypatch)
    found = fitted(20, longest, SHAPES, dtype)
    assert all(taken)
    assert taken
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_elements_without_a_gradient_are_not_shrunk(monkeypatch):
    taken = has_kernels(monkeypatch)
    weight = nn.Parameter(torch.rand(3, 4) + 1)
    before = weight.detach().clone()
    optimizer = SOAP([weight], lr=1e-9, weight_decay=1e8)  # so small a rate that only the decay is seen
    weight.grad = torch.rand(3, 1) * torch.tensor([1.0, -2.0, 0.0, 3.0])
    for _ in range(3):  # the first one only looks
        optimizer.step()
    assert taken == [True, True]
    torch.testing.assert_close(weight.detach(), before * torch.tensor([0.81, 0.81, 1.0, 0.81]))


@pytest.mark.parametrize("steps", [5, 8], ids=["as usual", "new eigenbases"])
def test_a_step_takes_so_many_operations(steps, monkeypatch):
    """One of them moves all matrices, the other one vectors."""
    has_kernels(monkeypatch)
    monkeypatch.setitem(adam._BY_DEVICE, "cpu", cuda_adam.adam_step)
    parameters = [nn.Parameter(torch.randn(shape)) for shape in [(28, 2), (28, 28), (24, 28), (28,)]]
    optimizer = SOAP(parameters, weight_decay=0.0, **OPTIONS)
    coefficients = torch.tensor([[-1e-3, 1.0]])
    for step in range(steps + 1):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape)
        with counted(EmulatedKernel) as operations:
            optimizer.advance(coefficients, step)
        optimizer.count_step()
    assert sum(count for name, count in operations.counts.items() if name.startswith("kernel soap")) == 1
    assert operations.on_device == 2


def test_more_arrays_than_a_launch_takes(monkeypatch):
    shapes = [(4, 3)] * 70
    expected = fitted(5, 100, shapes)
    has_kernels(monkeypatch)
    for one, other in zip(fitted(5, 100, shapes), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_arrays_too_large_for_a_block_are_left_to_torch(monkeypatch):
    taken = has_kernels(monkeypatch)
    found = fitted(3, 1000, [(90, 90)])
    assert not any(taken)
    assert all(torch.isfinite(one).all() for one in found)


def test_kernels_that_do_not_compile_leave_the_steps_to_torch(monkeypatch):
    expected = fitted(5, 100, SHAPES[:4])
    has_kernels(monkeypatch)

    def refuse(*_):
        raise QuinrError("the soap of latents: no compiler")

    monkeypatch.setattr("quinr_pl.native.cuda_code.Program.kernel", refuse)
    with pytest.warns(UserWarning, match="no compiler; torch's operations take their place"):
        found = fitted(5, 100, SHAPES[:4])
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
