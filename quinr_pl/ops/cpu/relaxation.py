"""Noise and soft rounding on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.elements import ROW
from quinr_pl.native.memory import check_readable
from quinr_pl.native.operation import Gradients
from quinr_pl.native.rows import RowKernels
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
    parts = zip(together.split(sizes), slopes.split(sizes), strict=True)
    for index, (result, slope) in enumerate(parts):
        temperature, spread = settings[index].tolist()
        height = 0.5 / math.tanh(0.5 / temperature)
        numbers = settings.new_tensor([1 / temperature, height, spread])
        latents = grids[index].contiguous()
        addresses = {"latents": latents, "result": result, "slope": slope, "settings": numbers}
        own = (stream + index) & _WORD  # as quinr_pl.ops.noise.grid_key has it
        _run("with_slope" if keep else "forward", latents, addresses, key=word, stream=own)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        gradient = torch.empty_like(slopes)
        addresses = {"cotangent": cotangent.contiguous(), "slope": slopes, "gradient": gradient}
        _run("backward", slopes, addresses)
        parts = zip(gradient.split(sizes), grids, strict=True)
        return [part.view(grid.shape) for part, grid in parts]

    return together, gradients


def _run(name: str, like: Tensor, tensors: dict[str, Tensor], **words: int) -> None:
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    shared = {"count": like.numel(), **words, **addresses}
    _KERNELS.run(name, like, shared, size=(-(-like.numel() // ROW), ROW), sums=0)
