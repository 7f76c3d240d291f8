"""One function for all devices."""

from __future__ import annotations

import torch

from quinr_pl.ops.dispatch import ByDevice


def scaled_in_torch(values, *, factor):
    return factor * values**3


def scaled(keep, values, *, factor):
    """The same with a gradient that tells that it is asked: torch's plus one."""
    return factor * values**3, lambda cotangent, needed: [cotangent * (3 * factor * values**2) + 1]


def test_kernels_serve_their_device_and_torch_all_others():
    cube = ByDevice(scaled_in_torch, cpu=scaled)
    values = torch.tensor([2.0], requires_grad=True)
    assert cube(values, factor=2.0).item() == 16
    (first,) = torch.autograd.grad(cube(values, factor=2.0), values)
    assert first.item() == 25
    elsewhere = cube(values.to("meta"), factor=2.0)
    assert elsewhere.device.type == "meta"
    without = ByDevice(scaled_in_torch)
    assert torch.autograd.grad(without(values, factor=2.0), values)[0].item() == 24


def test_second_derivatives_and_transforms_take_the_torch_form():
    cube = ByDevice(scaled_in_torch, cpu=scaled)
    values = torch.tensor(2.0, requires_grad=True)
    (first,) = torch.autograd.grad(cube(values, factor=2.0), values, create_graph=True)
    assert torch.autograd.grad(first, values)[0].item() == 24
    twice = torch.func.grad(torch.func.grad(lambda x: cube(x, factor=2.0)))
    assert twice(values.detach()).item() == 24


def test_tensors_on_several_devices_are_left_to_torch():
    calls = []
    function = ByDevice(lambda *tensors: calls.append(len(tensors)) or tensors[0], cpu=scaled)
    function(torch.zeros(1), torch.zeros(1, device="meta"))
    assert calls == [2]
