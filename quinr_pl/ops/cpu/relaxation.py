"""Noise and soft rounding on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.elements import ROW
from quinr_pl.native.memory import check_readable
from quinr_pl.native.operation import Gradients
from quinr_pl.native.rows import Plane, RowKernels
from quinr_pl.ops.kernels import relaxation as emitter

_KERNELS = RowKernels(
    emitter, "the relaxation of latents", thread_numbers=300_000, least_rows=128, most_chunks=64
)

_WORD = 0xFFFFFFFF


def relaxed(keep: bool, *grids: Tensor, key: Tensor, settings: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.relaxation.relaxed and Operation.run."""
    check_readable("relaxation", *grids, settings)
    sizes = [grid.numel() for grid in grids]
    together = settings.new_empty(sum(sizes))
    slopes = torch.empty_like(together) if keep else together
    word, stream = key.tolist()
    numbers = settings.new_tensor([_numbers(*pair) for pair in settings.tolist()])  # (grids, 3)
    latents = [grid.contiguous() for grid in grids]
    parts = zip(latents, together.split(sizes), slopes.split(sizes), numbers, strict=True)
    planes = []
    for index, (given, result, slope, own) in enumerate(parts):
        tensors = {"latents": given, "result": result, "slope": slope, "settings": own}
        # The stream as quinr_pl.ops.noise.grid_key has it.
        planes.append(_plane(given.numel(), tensors, stream=(stream + index) & _WORD))
    _run("with_slope" if keep else "forward", settings, planes, key=word)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        gradient = torch.empty_like(slopes)
        tensors = {"cotangent": cotangent.contiguous(), "slope": slopes, "gradient": gradient}
        _run("backward", slopes, [_plane(slopes.numel(), tensors)])
        parts = zip(gradient.split(sizes), grids, strict=True)
        return [part.view(grid.shape) for part, grid in parts]

    return together, gradients


def _numbers(temperature: float, spread: float) -> tuple[float, float, float]:
    """What the kernel asks for of a grid."""
    return 1 / temperature, 0.5 / math.tanh(0.5 / temperature), spread


def _plane(count: int, tensors: dict[str, Tensor], **words: int) -> Plane:
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    return Plane(-(-count // ROW), {"count": count, **words, **addresses})


def _run(name: str, like: Tensor, planes: Sequence[Plane], **words: int) -> None:
    numbers = sum(plane.rows for plane in planes) * ROW
    _KERNELS.run_planes(name, like, words, planes, numbers, sums=0)
