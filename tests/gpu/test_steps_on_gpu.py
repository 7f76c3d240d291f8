"""Kernels of a fit's steps on a GPU, against torch's operations on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.gpu.latent_step import cases, results
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.training.soap import SOAP

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
CASES = cases(37, 53)
SHAPES = [(7, 2), (20, 20), (17, 20), (2, 3, 4), (9,), (30,)]

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


@dtypes
@pytest.mark.parametrize("name", CASES)
def test_operations(gpu, name, dtype):
    expected = results(*CASES[name].on("cpu", torch.float64, in_torch=True))
    for found, right in zip(results(*CASES[name].on(gpu, dtype)), expected, strict=True):
        scale = max(1.0, float(right.abs().max()))
        torch.testing.assert_close(found.cpu().double(), right, rtol=0, atol=TOLERANCE[dtype] * scale)
    assert not CASES[name].operation.failures  # which leave tensors to torch's operations


@dtypes
def test_errors_of_known_values(gpu, dtype):
    targets = torch.rand(300, 3, dtype=torch.float64)
    targets[::7] = torch.nan
    values = torch.rand(3, 300, dtype=torch.float64)
    found = []
    for device, kind in (("cpu", torch.float64), (gpu, dtype)):
        leaf = values.to(device, kind, copy=True).requires_grad_()
        error = squared_error(leaf.T, targets.to(device, kind))
        error.backward()
        found.append((error.detach().cpu().double(), leaf.grad.cpu().double()))
    torch.testing.assert_close(found[1], found[0], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@dtypes
def test_steps_of_soap(gpu, dtype):
    """Matrices, and vectors by Adam; eigenbases follow where no direction is left to choose."""
    options = {"lr": 1e-2, "betas": (0.9, 0.95), "precondition_frequency": 8, "eps": 1e-2}
    moved = []
    for device in ("cpu", gpu):
        draw = torch.Generator().manual_seed(0)
        parameters = [nn.Parameter(torch.randn(shape, generator=draw).to(device, dtype)) for shape in SHAPES]
        optimizer = SOAP(parameters, weight_decay=0.3, **options)
        for _ in range(20):
            for parameter in parameters:
                noise = torch.randn(parameter.shape, generator=draw).to(device, dtype)
                parameter.grad = parameter.detach() + noise
            optimizer.step()
        moved.append([parameter.detach().cpu() for parameter in parameters])
    tolerance = 1e-3 if dtype == torch.float32 else 1e-9
    for found, expected in zip(moved[1], moved[0], strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
