"""How many operations a step of a latent fit gives a GPU, with its kernels run on the CPU."""

from __future__ import annotations

import torch
from cuda_emulation import NEEDS_COMPILER, EmulatedKernel, emulate

from benchmarks.gpu import latent_step
from benchmarks.gpu.operations import counted


@NEEDS_COMPILER
def test_a_step_at_full_resolution_takes_so_many_operations(monkeypatch):
    """Of seven grids; the CPU's engine makes few operations of embedding, circuit and read-out."""
    emulate(monkeypatch)
    for case in latent_step.cases(8, 8).values():
        monkeypatch.setitem(case.operation._kernels, "cpu", case.operation._kernels["cuda"])
    for name, value in {"DEVICE": "cpu", "HEIGHT": 32, "WIDTH": 48}.items():
        monkeypatch.setattr(latent_step, name, value)
    run, network = latent_step.training_step((0, False))
    run()
    with counted(EmulatedKernel) as operations:
        run()
    assert operations.on_device <= 55
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
