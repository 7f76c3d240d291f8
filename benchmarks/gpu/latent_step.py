"""Operations and steps of a latent fit on a GPU: ``python -m benchmarks.gpu.latent_step [--json PATH]``.

Each operation is compared with torch's operations in double precision on the CPU, and timed three ways: its
kernels called from Python, the same from a CUDA graph, and torch's operations called from Python. Steps are
those of kodak_latent.yaml's network on 512 x 768 pixels: loss and gradients, without an optimizer.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.capture import captured
from benchmarks.gpu.operations import counted
from benchmarks.gpu.record import card, keep
from quinr_pl.native.cuda_code import Kernel
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY, NEIGHBOURS, SCALE_OCTAVES
from quinr_pl.network.latent.latent_quinr import LatentQuINR
from quinr_pl.network.latent.pyramid import grid_shape
from quinr_pl.ops import columns, context, filters, relaxation, sines, squared_error, upsampling
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.laplace import LaplaceContext

DEVICE = "cuda"
HEIGHT, WIDTH, GRIDS = 512, 768, 7
NETWORK = {"finest": 0, "grids": GRIDS, "coarse_steps": (0.3, 0.3)}
SMALL = 96, 144
"""Rows and columns where results are compared."""
SECONDS = 0.3
"""How long each thing is timed."""


@dataclass(frozen=True)
class Case:
    """An operation with what it is given.

    Attributes:
        operation: By device.
        tensors: In double precision, on the CPU.
        settings: Other arguments; tensors among them go to the device and its precision too.
    """

    operation: ByDevice
    tensors: Sequence[Tensor]
    settings: dict[str, Any]

    def on(
        self, device: str, dtype: torch.dtype, in_torch: bool = False
    ) -> tuple[Callable[..., Tensor], Any]:
        """The function, and its tensors on a device."""

        def moved(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype)

        leaves = [moved(tensor).requires_grad_() for tensor in self.tensors]
        settings = {name: moved(value) for name, value in self.settings.items()}
        return partial(self.operation._in_torch if in_torch else self.operation, **settings), leaves


def cases(height: int, width: int) -> dict[str, Case]:
    """The operations of a step at the resolution of the pixels."""
    draw = torch.Generator().manual_seed(0)

    def drawn(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=draw, dtype=torch.float64)

    shapes = [grid_shape(height, width, level) for level in range(GRIDS)]
    grids = [drawn(*shape, scale=2.0) for shape in shapes]
    weights = [drawn(*shape, scale=0.3) for shape in [(12, 13), (12,), (2, 12), (2,), (GRIDS,)]]
    taps = torch.tensor([0, 0.25, 0.75, 0]).double() + drawn(GRIDS - 1, 4, scale=0.05)
    convolutions = [drawn(*shape, scale=0.1) for shape in [(3, 3, 3, 3), (3,)] * 2]
    planes = [drawn(3, height, width) for _ in range(2)]
    seen = LaplaceContext(NEIGHBOURS[:12], SCALE_OCTAVES, LEAST_PROBABILITY)
    settings = torch.tensor([[0.25, 0.2]] * GRIDS).double()
    noise = {"key": torch.tensor([5, 6]), "settings": settings}
    sine, pixels = {"frequency": 1.0, "scale": 1.5}, height * width
    centred = {"scale": 16.0, "shift": -1.0}
    error = {"picture": planes[1], "known": torch.ones_like(planes[1])}
    return {
        "relaxation": Case(relaxation._relaxed, grids, noise),
        "context": Case(context._context_bits, [*weights, *grids], {"context": seen, "first": 0}),
        "sines": Case(sines._sines, [drawn(7, pixels).T, drawn(16, 7), drawn(16)], sine),
        "read-out": Case(columns._combined, [drawn(3, 16), drawn(pixels, 16).T, drawn(3)], centred),
        "skip": Case(columns._combined, [drawn(3, 7), drawn(7, pixels)], {}),
        "interpolation": Case(
            upsampling._interpolated, [taps, *reversed(grids)], {"shapes": tuple(reversed(shapes))}
        ),
        "filters": Case(filters._filtered, [planes[0], *convolutions], {}),
        "squared error": Case(squared_error._squared_error, planes[:1], error),
    }


def main() -> None:
    """Compare, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.latent_step", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    record: dict[str, Any] = {"machine": card(), "operations": {}, "steps": {}, "failures": {}}
    large = cases(HEIGHT, WIDTH)
    for name, case in cases(*SMALL).items():
        found = record["operations"].setdefault(name, {})
        attempt(record, name, lambda case=case, found=found: found.update(errors(case)))
        attempt(record, name, lambda name=name, found=found: found.update(times(large[name])))
        keep(options.json, record)
    for stage in ((2, False), (1, False), (0, False), (0, True)):
        name = f"1/{2 ** stage[0]}{' rounded' if stage[1] else ''}"
        found = record["steps"].setdefault(name, {})
        attempt(record, name, lambda stage=stage, found=found: step(stage, found))
        keep(options.json, record)
    attempt(record, "kernels", lambda: record.update(kernels=profile()))
    keep(options.json, record)
    print_tables(record)


def attempt(record: dict[str, Any], name: str, run: Callable[[], object]) -> None:
    """Run a part; its failure is recorded, and does not end the others."""
    try:
        run()
    except Exception as error:
        traceback.print_exc()
        record["failures"][name] = f"{type(error).__name__}: {error}".partition("\n")[0]


def errors(case: Case) -> dict[str, float]:
    """Largest differences from double precision on the CPU, in units of the largest number of each tensor."""
    expected = results(*case.on("cpu", torch.float64, in_torch=True))
    found: dict[str, float] = {}
    for dtype in (torch.float32, torch.float64):
        both = zip(results(*case.on(DEVICE, dtype)), expected, strict=True)
        differences = [
            float((value.cpu().double() - right).abs().max() / right.abs().max().clamp_min(1e-30))
            for value, right in both
        ]
        name = str(dtype).removeprefix("torch.")
        found |= {f"{name} value": differences[0], f"{name} gradient": max(differences[1:])}
    first, second = (results(*case.on(DEVICE, torch.float32)) for _ in range(2))
    found["repeats"] = all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    if case.operation.failures:
        raise RuntimeError(next(iter(case.operation.failures.values())))
    return found


def results(function: Callable[..., Tensor], leaves: Sequence[Tensor]) -> list[Tensor]:
    """Values, and gradients of a linear function of them."""
    values = function(*leaves)
    weights = torch.linspace(-1, 1, values.numel(), dtype=torch.float64).sin().view(values.shape).to(values)
    return [values.detach(), *torch.autograd.grad((values * weights).sum(), leaves)]


def times(case: Case) -> dict[str, float]:
    """Milliseconds of the forward and both passes."""

    def both(function: Callable[..., Tensor], leaves: Sequence[Tensor]) -> Callable[[], object]:
        cotangent = torch.ones_like(function(*leaves))
        return lambda: torch.autograd.grad(function(*leaves), leaves, cotangent)

    def forward(function: Callable[..., Tensor], leaves: Sequence[Tensor]) -> Callable[[], object]:
        return torch.no_grad()(lambda: function(*leaves))

    ours, theirs = case.on(DEVICE, torch.float32), case.on(DEVICE, torch.float32, in_torch=True)
    found = {
        "forward graph": device_ms(captured(forward(*ours))),
        "graph": device_ms(captured(both(*ours))),
        "eager": device_ms(both(*ours)),
        "torch": device_ms(both(*theirs)),
    }
    return {f"{name} ms": value for name, value in found.items()}


def step(stage: tuple[int, bool], found: dict[str, Any]) -> None:
    """Operations and milliseconds of a step of a stage, loss and gradients."""
    run, network = training_step(stage)
    run()
    with counted(Kernel) as operations:
        run()
    found |= {"operations": operations.on_device, "dispatched": operations.all, "names": operations.counts}
    found["engine"] = network.quantum_layers()[0].running_engine(torch.device(DEVICE)).name
    found["eager ms"] = device_ms(run)
    found["graph ms"] = device_ms(captured(run))


def training_step(stage: tuple[int, bool]) -> tuple[Callable[[], Tensor], LatentQuINR]:
    """What computes loss and gradients of a step in some stage, and the network."""
    torch.manual_seed(0)
    network = LatentQuINR(height=HEIGHT, width=WIDTH, **NETWORK).to(DEVICE)
    with torch.no_grad():
        for grid in network.pyramid.grids:
            grid.normal_()
    progress = next(p / 1000 for p in range(1000) if network.stage(p / 1000) == stage)
    rows, columns = torch.meshgrid(torch.linspace(0, 9, HEIGHT), torch.linspace(0, 9, WIDTH), indexing="ij")
    targets = (
        torch.stack([(rows * columns).sin(), rows.cos(), columns.sin()], -1).flatten(0, 1).mul(0.5).add(0.5)
    )
    coordinates, targets = torch.zeros(HEIGHT * WIDTH, 2, device=DEVICE), targets.to(DEVICE)
    schedule = torch.tensor(network.schedule(progress), device=DEVICE)

    def run() -> Tensor:
        for parameter in network.parameters():
            parameter.grad = None
        loss, _ = network.loss(coordinates, targets, progress, schedule)
        loss.backward()
        return loss.detach()

    return run, network


def device_ms(run: Callable[[], object]) -> float:
    """Mean milliseconds of a run among many, the device being waited for at the end."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for _ in range(10):
            run()
        torch.cuda.synchronize()
        count += 10
    return (time.perf_counter() - start) / count * 1e3


def profile() -> dict[str, list[float]]:
    """Microseconds and calls of each kernel in a step at full resolution, the longest first."""
    run, _ = training_step((0, False))
    run()
    steps = 5
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
        for _ in range(steps):
            run()
        torch.cuda.synchronize()
    found = [(e.key, e.self_device_time_total / steps, e.count / steps) for e in profiled.key_averages()]
    return {name[:90]: [us, calls] for name, us, calls in sorted(found, key=lambda row: -row[1])}


def print_tables(record: dict[str, Any]) -> None:
    """The figures, the longest table first and what matters most last."""
    for name, (us, calls) in list(record.get("kernels", {}).items())[:40]:
        print(f"{us:9.1f} us {calls:5.1f} calls  {name}")
    print(f"\n{record['machine']['gpu']}: {HEIGHT} x {WIDTH} pixels, {GRIDS} grids, float32")
    print(
        f"{'operation':14} {'value':>9} {'gradient':>9} {'forward':>9} {'graph':>9} {'eager':>9} {'torch':>9}"
    )
    for name, row in record["operations"].items():
        accuracy = " ".join(
            f"{row.get(f'float32 {kind}', float('nan')):9.1e}" for kind in ("value", "gradient")
        )
        kinds = ("forward graph", "graph", "eager", "torch")
        speed = " ".join(f"{row.get(f'{kind} ms', float('nan')):9.3f}" for kind in kinds)
        print(f"{name:14} {accuracy} {speed}{'' if row.get('repeats') else '  does not repeat'}")
    print(f"{'step':14} {'operations':>10} {'dispatched':>10} {'eager ms':>9} {'graph ms':>9}")
    for name, row in record["steps"].items():
        counts = " ".join(f"{row.get(kind, -1):10d}" for kind in ("operations", "dispatched"))
        speed = " ".join(f"{row.get(f'{kind} ms', float('nan')):9.3f}" for kind in ("eager", "graph"))
        print(f"{name:14} {counts} {speed}  {row.get('engine', '')}")
    for name, reason in record["failures"].items():
        print(f"FAILED {name}: {reason}"[:160])


if __name__ == "__main__":
    main()
