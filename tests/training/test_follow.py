"""Optimizers go on as if parameters had always lain where they were moved to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quinr_pl.network.base import Moved
from quinr_pl.training.adam import Adam
from quinr_pl.training.follow import follow
from quinr_pl.training.soap import SOAP

ORDER = [1, 2, 3, 0]
SHAPES = [(3, 4), (5, 4), (1, 4), (4,), (2, 4)]


def soap(parameters, **options):
    return SOAP(parameters, lr=1e-2, betas=(0.9, 0.95), precondition_frequency=3, **options)


MAKERS = {
    "adam": lambda parameters: Adam(parameters, (0.9, 0.99)),
    "soap": soap,
    "soap, the last axis left alone": lambda parameters: soap(parameters, max_precondition_dim=3),
}


def run(make, steps_before: int, steps_after: int, move: bool) -> list[torch.Tensor]:
    """Parameters after steps along quadratic forms; told in the first order, whatever they are in."""
    draw = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, dtype=torch.float64, generator=draw)) for shape in SHAPES]
    maps = [
        torch.randn(p.numel(), p.numel(), dtype=torch.float64, generator=draw) / p.numel() for p in parameters
    ]
    optimizer = make(parameters)
    back = torch.arange(4)
    for step in range(steps_before + steps_after):
        if move and step == steps_before:
            with torch.no_grad():
                for parameter in parameters:
                    parameter.copy_(parameter[..., ORDER])
            follow(optimizer, [Moved(parameter, ORDER) for parameter in parameters])
            back = torch.tensor(ORDER).argsort()
        optimizer.zero_grad()
        sum(
            (form @ p[..., back].flatten()).square().sum() for form, p in zip(maps, parameters, strict=True)
        ).backward()
        optimizer.step()
    return [parameter.detach()[..., back] for parameter in parameters]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("before", [1, 8])
def test_steps_are_those_of_parameters_that_were_never_moved(make, before):
    moved, still = run(make, before, 10, True), run(make, before, 10, False)
    for one, other in zip(moved, still, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
    assert not torch.allclose(still[0], run(make, before, 9, False)[0], rtol=1e-6)


def test_before_the_first_step_there_is_nothing_to_follow():
    parameter = nn.Parameter(torch.ones(3, 4))
    optimizer = soap([parameter])
    follow(optimizer, [Moved(parameter, ORDER), Moved(parameter)])
    assert not optimizer.state[parameter]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_new_elements_have_no_moments(make):
    parameter = nn.Parameter(torch.ones(4, dtype=torch.float64))
    optimizer = make([parameter])
    for _ in range(4):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    follow(optimizer, [Moved(parameter)])
    before = parameter.detach().clone()
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(parameter.detach(), before * (1 - 1e-3 * 1e-2) if make is MAKERS["adam"] else before)
