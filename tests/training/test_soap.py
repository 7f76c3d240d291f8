"""Our SOAP against that of pytorch_optimizer, which moves one parameter after the other."""

from __future__ import annotations

import copy

import pytest
import pytorch_optimizer
import torch
from torch import nn

from quinr_pl.training.soap import SOAP

SHAPES = [(7, 2), (9, 9), (9, 9), (40, 9), (2, 1, 6), (2, 3, 4), (1, 1, 5), (1, 1), (9,), (3,)]


class Problem:
    """Parameters of all kinds that fall along fixed, quadratic forms."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> torch.Tensor:
            return torch.randn(shape, dtype=torch.float64, generator=draw)

        self.parameters = [nn.Parameter(drawn(*shape)) for shape in SHAPES]
        self.maps = [drawn(p.numel(), p.numel()) / p.numel() for p in self.parameters]

    def groups(self) -> list[dict]:
        first, second = self.parameters[::2], self.parameters[1::2]
        return [{"params": first, "lr": 1e-2, "weight_decay": 0.3}, {"params": second, "lr": 2e-2}]

    def loss(self) -> torch.Tensor:
        for parameter in self.parameters:
            parameter.grad = None
        loss = sum((m @ p.flatten()).square().sum() for m, p in zip(self.maps, self.parameters, strict=True))
        loss.backward()
        return loss


# Along directions that no gradient has had yet, moments are rounding: eps keeps them from being scaled up,
# and after eight steps there is no such direction left that a new eigenbasis would have to choose.
OPTIONS = {"betas": (0.9, 0.95), "precondition_frequency": 8, "eps": 1e-2}


@pytest.fixture
def double_bases(monkeypatch):
    """pytorch_optimizer finds eigenbases in single precision."""
    to = torch.Tensor.to

    def kept_double(tensor, *given, **options):
        return tensor if given == (torch.float32,) else to(tensor, *given, **options)

    monkeypatch.setattr(torch.Tensor, "to", kept_double)


@pytest.mark.usefixtures("double_bases")
@pytest.mark.parametrize("longest", [10000, 8, 1])
def test_steps_are_those_of_pytorch_optimizer(longest):
    problem, reference = Problem(), Problem()
    options = {**OPTIONS, "max_precondition_dim": longest}
    ours = SOAP(problem.groups(), **options)
    theirs = pytorch_optimizer.SOAP(reference.groups(), **{"weight_decay": 0.0, **options})
    for step in range(20):
        ours.step(problem.loss)
        theirs.step(reference.loss)
        for one, other in zip(problem.parameters, reference.parameters, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=f"{tuple(one.shape)}, {step}")


@pytest.mark.usefixtures("double_bases")
def test_a_fit_of_pytorch_optimizer_goes_on():
    reference = Problem()
    theirs = pytorch_optimizer.SOAP(reference.groups(), weight_decay=0.0, **OPTIONS)
    for _ in range(12):
        theirs.step(reference.loss)
    problem = copy.deepcopy(reference)
    ours = SOAP(problem.groups(), **OPTIONS)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for _ in range(12):
        ours.step(problem.loss)
        theirs.step(reference.loss)
    for one, other in zip(problem.parameters, reference.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_a_state_is_whole_and_stays_as_it_was():
    whole, problem = Problem(), Problem()
    optimizer = SOAP(whole.groups(), **OPTIONS)
    for _ in range(9):
        optimizer.step(whole.loss)
    problem = copy.deepcopy(whole)
    state = optimizer.state_dict()
    for _ in range(12):
        optimizer.step(whole.loss)
    continued = SOAP(problem.groups(), **OPTIONS)
    continued.load_state_dict(state)
    for _ in range(12):
        continued.step(problem.loss)
    for one, other in zip(problem.parameters, whole.parameters, strict=True):
        assert torch.equal(one, other), one.shape


def test_elements_without_a_gradient_are_not_shrunk():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.rand(3, 4, dtype=torch.float64) + 1)
    before = weight.detach().clone()
    optimizer = SOAP([weight], lr=1e-9, weight_decay=1e8)  # so small a rate that only the decay is seen
    weight.grad = torch.rand(3, 1, dtype=torch.float64) * torch.tensor([1.0, -2.0, 0.0, 3.0])
    for _ in range(3):  # the first one only looks
        optimizer.step()
    factors = torch.tensor([0.81, 0.81, 1.0, 0.81], dtype=torch.float64)
    torch.testing.assert_close(weight.detach(), before * factors, rtol=1e-6, atol=1e-7)


def test_parameters_without_a_gradient_rest():
    problem = Problem()
    optimizer = SOAP(problem.groups(), **OPTIONS)
    before = [p.detach().clone() for p in problem.parameters]
    for step in range(6):

        def loss(resting=step % 2) -> None:
            problem.loss()
            for parameter in problem.parameters[: 4 if resting else 0]:
                parameter.grad = None

        kept = [p.detach().clone() for p in problem.parameters[:4]]
        optimizer.step(loss)
        if step % 2:
            assert all(torch.equal(one, p) for one, p in zip(kept, problem.parameters[:4], strict=True))
    assert not any(torch.equal(one, p) for one, p in zip(before, problem.parameters, strict=True))
