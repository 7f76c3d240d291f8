"""What a step of a fit asks of a GPU, with the kernels for CUDA run on the CPU."""

from __future__ import annotations

import torch
from cuda_emulation import NEEDS_COMPILER, EmulatedKernel, emulate_devices

from benchmarks.gpu import latent_step
from benchmarks.gpu.operations import Operations, counted
from quinr_pl.circuit.engines.cuda.engine import CudaEngine
from quinr_pl.fitting.cli import read_settings
from quinr_pl.module import CoordinateNetworkModule
from quinr_pl.network import QuINR
from quinr_pl.training.graphed_steps import GraphedSteps, Schedule

pytestmark = NEEDS_COMPILER


class Counting:
    """A recorder of GraphedSteps that takes every step, and counts what a graph of it would hold."""

    def __init__(self) -> None:
        self.steps: list[Operations] = []

    def run(self, function):
        with counted(EmulatedKernel) as operations:
            result = function()
        self.steps.append(operations)
        return result

    def record(self, function):
        return lambda: self.run(function)


def counted_steps(network, batch, progress, **settings) -> list[Operations]:
    """As usual, then with new eigenbases."""
    fit = CoordinateNetworkModule(network, **{**settings, "precondition_frequency": 2})
    optimizer, counting, steps = fit.make_optimizer(), Counting(), 3
    rates = [[group["lr"] for group in optimizer.param_groups]] * steps
    graphed = GraphedSteps(network, optimizer, Schedule(0, rates, [progress] * steps), counting)
    for step in range(steps):
        network.begin_step(step, progress)
        loss, _ = graphed(batch, step)
    assert loss.isfinite()
    return counting.steps[1:]  # the first one only looks


def test_a_step_of_kodak(monkeypatch):
    emulate_devices(monkeypatch)
    settings = read_settings(["--config", "kodak.yaml"])["model"]
    network = QuINR(**{**settings.pop("network")["init_args"], "engine": CudaEngine()})
    for operations in counted_steps(network, (torch.rand(8, 2), torch.rand(8, 3)), 0.5, **settings):
        assert operations.on_device <= 40, operations.counts


def test_a_step_of_latents_at_the_full_resolution(monkeypatch):
    """Of seven grids."""
    emulate_devices(monkeypatch)
    for name, value in {"DEVICE": "cpu", "HEIGHT": 32, "WIDTH": 48}.items():
        monkeypatch.setattr(latent_step, name, value)
    run, network = latent_step.training_step((0, False))
    run()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    network.synthesis.circuit.engine = CudaEngine()
    batch = torch.zeros(32 * 48, 2), torch.rand(32 * 48, 3)
    progress = next(p / 1000 for p in range(1000) if network.stage(p / 1000) == (0, False))
    settings = {"learning_rate": 1e-3, "optimizer": "soap", "weight_decay": 0.1}
    for operations in counted_steps(network, batch, progress, **settings):
        assert operations.on_device <= 60, operations.counts
