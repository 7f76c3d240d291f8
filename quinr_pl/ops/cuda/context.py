"""Bits of latents under the context model for CUDA; see context.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Array, Structure, c_int, c_void_p
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from quinr_pl.native.cuda_code import Kernel
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import (
    MOST_GRIDS,
    SHARED_BYTES,
    THREADS,
    Constants,
    blocks_of,
    check_grids,
    ints,
    kernel,
    pieces,
)
from quinr_pl.ops.dispatch import NoKernelsError
from quinr_pl.ops.kernels.context import sums_count
from quinr_pl.ops.laplace import TWO_LAYERS, LaplaceContext, weight_count, weight_shapes

_TILES = 4
"""Latents of a thread: more of them leave fewer sums to add up, and fewer blocks to fill the device."""
_TOTAL_ROWS = 8
_LAYERS = "hidden", "second", "output"


class _Level(Structure):
    """As in context.cu."""

    _fields_ = (
        ("grid", c_void_p),
        ("coarser", c_void_p),
        ("received", c_void_p),
        ("rows", c_int),
        ("columns", c_int),
        ("coarser_columns", c_int),
        ("end", c_int),
        ("last_block", c_int),
    )


class _Weights(Structure):
    """As in context.cu."""

    _fields_ = (
        *((f"{layer}_{part}", c_void_p) for layer in _LAYERS for part in ("weight", "bias")),
        ("shifts", c_void_p),
    )


@dataclass(frozen=True)
class _Kernels:
    """The kernels of a model.

    Attributes:
        context: What the model sees, and the bounds of its distributions.
        width: Its hidden units.
        second: Those of the second hidden layer, as many; 0 without one.
        like: A tensor of the model's precision and device.
    """

    context: LaplaceContext
    width: int
    second: int
    like: Tensor

    @property
    def inputs(self) -> int:
        """What the model sees of a latent: neighbours, and the latent of the coarser grid."""
        return len(self.context.offsets) + 1

    @property
    def threads(self) -> int:
        """Threads of a block: as many as have room for what they find.

        Raises:
            NoKernelsError: If not even a warp has.
        """
        numbers = self.width * (self.inputs + 6) + self.second * (self.width + 1)  # of the weights, about
        lines = self.inputs + 1 + 2 * (self.width + self.second) + 3
        for threads in (THREADS, THREADS // 2, THREADS // 4):
            if (numbers + lines * (threads + 4)) * self.like.element_size() <= SHARED_BYTES:
                return threads
        raise NoKernelsError(f"a context model of width {self.width} is too wide for kernels for CUDA")

    def __getitem__(self, name: str) -> Kernel:
        down, right = zip(*self.context.offsets, strict=True)
        low, high = self.context.octaves
        constants: Constants = {
            "NEIGHBOURS": len(self.context.offsets),
            "WIDTH": self.width,
            "SECOND": self.second,
            "DOWNS": _list(down),
            "RIGHTS": _list(right),
            "LOW": low,
            "HIGH": high,
            "LEAST": self.context.least,
            "TOTAL_ROWS": _TOTAL_ROWS,
        }
        return kernel(name, "context", self.like, constants, self.threads)


@dataclass(frozen=True)
class _Pass:
    """What the forward pass leaves for the gradients.

    Attributes:
        kernels: The kernels.
        levels: The levels, with the memory of what latents received.
        totals: Sums of each level, (levels, sums).
        kept: What the levels point to.
        shapes: Shapes of all tensors of the operation.
        first: The first of the grids.
    """

    kernels: _Kernels
    levels: Array[_Level]
    totals: Tensor
    kept: tuple[object, ...]
    shapes: tuple[torch.Size, ...]
    first: int


def context_bits(
    keep: bool, *tensors: Tensor, context: LaplaceContext, first: int
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.context.context_bits and Operation.run."""
    check_readable("context model", *tensors, device=tensors[0].device.type)
    count = weight_count(tensors)
    width, grids = len(tensors[1]), tensors[count + 1 :]
    inputs, second = len(context.offsets) + 1, width if count == TWO_LAYERS else 0
    check_shapes("context model", tensors[: count + 1], weight_shapes(context, width, second, len(grids)))
    check_grids("context model", grids)
    weights = [tensor.contiguous() for tensor in tensors[: count + 1]]
    seen = [grid.contiguous() for grid in grids[first:]]
    kernels = _Kernels(context, width, second, weights[0])
    sums = sums_count(len(context.offsets), width, second)
    levels, blocks = _levels(seen, kernels.threads * _TILES)
    received = [grid.numel() * (inputs + 1) for grid in seen] if keep else []
    (partial_sums, *places), memory = pieces(weights[0], [blocks * sums, *received])
    for level, place in zip(levels, places, strict=False):
        level.received = place
    totals = weights[0].new_empty(len(seen), sums)
    addresses: list[int | None] = [tensor.data_ptr() for tensor in weights]
    addresses[-1] = weights[-1].data_ptr() + first * weights[-1].element_size()
    if not second:
        addresses[2:2] = None, None
    kernels["bits"](blocks, kernels.threads, levels, _Weights(*addresses), partial_sums)
    by_sums = (blocks_of(sums, 32), len(seen))
    kernels["totals"](by_sums, (32, _TOTAL_ROWS), levels, partial_sums, totals)
    sizes = tuple(tensor.shape for tensor in tensors)
    found = _Pass(kernels, levels, totals, (memory, seen), sizes, first)
    return totals[:, 0], partial(_gradients, found)


def _gradients(found: _Pass, cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor | None]:
    """The gradients of each grid's bits are known by now: here they are only gathered and weighed."""
    totals, first, shapes = found.totals, found.first, found.shapes
    count = len(totals)
    of_model = shapes[: len(shapes) - first - count]  # its weights, and the shifts of scales
    ordered = [*shapes[len(shapes) - count :], *of_model]  # latents at the beginning: aligned
    sizes = [shape.numel() for shape in ordered]
    latents, weights = sum(sizes[:count]), sum(sizes[count:-1])
    flat = totals.new_zeros(sum(sizes)) if first else totals.new_empty(sum(sizes))
    of_weights, of_shifts = (
        c_void_p(flat.data_ptr() + at * flat.element_size()) for at in (latents, latents + weights + first)
    )
    found.kernels["gradients"](
        blocks_of(latents) + 1,
        THREADS,
        found.levels,
        *ints(count),
        totals,
        cotangent,
        *ints(cotangent.stride(0)),
        flat,
        of_weights,
        of_shifts,
    )
    parts = [part.view(shape) for part, shape in zip(flat.split(sizes), ordered, strict=True)]
    return [*parts[count:], *[None] * first, *parts[:count]]


def _levels(grids: Sequence[Tensor], latents_of_block: int) -> tuple[Array[_Level], int]:
    """Levels without memory for what latents receive, and the number of blocks."""
    levels = (_Level * MOST_GRIDS)()
    blocks = latents = 0
    for index, (level, grid) in enumerate(zip(levels, grids, strict=False)):
        coarser = grids[index + 1] if index + 1 < len(grids) else None
        blocks += max(1, blocks_of(grid.numel(), latents_of_block))
        latents += grid.numel()
        level.grid, level.coarser = grid.data_ptr(), None if coarser is None else coarser.data_ptr()
        level.rows, level.columns = grid.shape
        level.coarser_columns = 0 if coarser is None else coarser.shape[1]
        level.end, level.last_block = latents, blocks
    return levels, blocks


def _list(values: Sequence[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
