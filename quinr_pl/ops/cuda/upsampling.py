"""Upsampling by two and interpolation of a pyramid for CUDA; see upsampling.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_void_p
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from quinr_pl.errors import QuinrError
from quinr_pl.native.cuda_code import Kernel
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import THREADS, TILE, blocks_of, ints, kernel, pieces
from quinr_pl.ops.cuda.sums import summed
from quinr_pl.ops.kernels.upsampling import TAPS

_Planes = Tensor | c_void_p


@dataclass(frozen=True)
class _Doubling:
    """One upsampling by two.

    Attributes:
        planes: Grids that are upsampled.
        joins: Grids that join them, 0 or 1.
        coarse: Rows and columns before.
        fine: Rows and columns after.
    """

    planes: int
    joins: int
    coarse: tuple[int, int]
    fine: tuple[int, int]

    @property
    def blocks(self) -> int:
        """Blocks for each plane."""
        return blocks_of(self.coarse[0] * self.coarse[1])

    @property
    def tiles(self) -> int:
        """Blocks for each plane on the way back."""
        return blocks_of(self.coarse[0], TILE[0]) * blocks_of(self.coarse[1], TILE[1])

    @property
    def size(self) -> int:
        """Numbers of the result."""
        return (self.planes + self.joins) * self.fine[0] * self.fine[1]

    def check(self) -> None:
        """Refuse shapes that are not twice as large, or one less, along each axis."""
        if any(not 0 <= 2 * coarse - fine <= 1 for coarse, fine in zip(self.coarse, self.fine, strict=True)):
            raise QuinrError(f"upsampling by two got shapes {self.coarse} and {self.fine}")

    def run(self, weight: Tensor, values: _Planes, joining: Tensor | None, result: _Planes) -> None:
        """From the planes of ``values`` to those of ``result``, of which a grid that joins is the first."""
        grid = (self.blocks, self.planes + self.joins)
        sizes = ints(self.planes, *self.coarse, *self.fine)
        _kernel("upsample", weight)(grid, THREADS, values, joining, weight, result, *sizes)

    def back(
        self, weight: Tensor, values: _Planes, given: _Planes, of_values: _Planes, partial_sums: Tensor
    ) -> None:
        """From the gradient in the result to that in the values, and to TAPS sums for each block.

        ``partial_sums`` is (blocks or more, TAPS), of any stride from block to block.
        """
        grid = (self.tiles, self.planes)
        sizes = ints(partial_sums.stride(0), self.joins, *self.coarse, *self.fine)
        run = _kernel("of_upsampled", weight)
        run(grid, TILE[0] * TILE[1], values, given, weight, of_values, partial_sums, *sizes)


def upsampled(
    keep: bool, values: Tensor, weight: Tensor, *, shape: Sequence[int]
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.upsampling.upsampled and Operation.run."""
    check_readable("upsampling", values, weight, device=weight.device.type)
    check_shapes("upsampling", (weight,), [(TAPS,)])
    weight, values = weight.contiguous(), values.contiguous()
    step = _Doubling(len(values), 0, _shape(values.shape[1:]), _shape(shape))
    step.check()
    result = values.new_empty(len(values), *shape)
    step.run(weight, values, None, result)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
        of_values = values.new_empty(values.shape)
        sums = values.new_empty(step.tiles * step.planes, TAPS)
        step.back(weight, values, cotangent.contiguous(), of_values, sums)
        return of_values, summed(sums)

    return result, gradients


def interpolated(
    keep: bool, weight: Tensor, *grids: Tensor, shapes: Sequence[Sequence[int]]
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.upsampling.interpolated and Operation.run."""
    check_readable("interpolation of latents", weight, *grids, device=weight.device.type)
    expected = [tuple(shape) for shape in shapes[: len(grids)]]
    check_shapes("interpolation of latents", (weight, *grids), [(len(shapes) - 1, TAPS), *expected])
    if weight.stride(-1) != 1:  # a row may be that of all doublings
        weight = weight.contiguous()
    grids = tuple(grid.contiguous() for grid in grids)
    steps = []
    for level, fine in enumerate(shapes[1:], 1):
        joins = int(level < len(grids))
        steps.append(_Doubling(min(level, len(grids)), joins, _shape(shapes[level - 1]), _shape(fine)))
        steps[-1].check()
    if not steps:
        return grids[0][None].clone(), lambda cotangent, needed: (torch.zeros_like(weight), cotangent[0])
    between, memory = pieces(weight, [step.size for step in steps[:-1]])
    result = weight.new_empty(steps[-1].planes + steps[-1].joins, *steps[-1].fine)
    values: list[_Planes] = [grids[0], *between, result]
    for level, step in enumerate(steps):
        joining = grids[level + 1] if step.joins else None
        step.run(weight[-1 - level], values[level], joining, values[level + 1])
    # Not the result: what the gradients hold must not hold them.
    return result, partial(_gradients, weight, steps, values[:-1], (memory, grids))


def _gradients(
    weight: Tensor,
    steps: Sequence[_Doubling],
    values: Sequence[_Planes],
    kept: object,
    cotangent: Tensor,
    needed: Sequence[bool],
) -> list[Tensor]:
    """Gradients in the taps and in the grids; ``values`` before each step, whose memory is ``kept``."""
    given = cotangent.contiguous()
    # Those of all doublings side by side, so that one kernel adds them up; coarse ones have fewer blocks.
    sums = weight.new_zeros(max(step.tiles * step.planes for step in steps), *weight.shape)
    # The gradients of all planes before each step, those of the coarsest grid alone first.
    sizes = [step.planes * step.coarse[0] * step.coarse[1] for step in steps]
    parts = weight.new_empty(sum(sizes)).split(sizes)
    of_grids = []
    for level in range(len(steps) - 1, -1, -1):
        step = steps[level]
        if step.joins:
            of_grids.append(
                given[0] if given.ndim == 3 else given[: step.fine[0] * step.fine[1]].view(step.fine)
            )
        step.back(weight[-1 - level], values[level], given, parts[level], sums[:, -1 - level])
        given = parts[level]
    return [summed(sums), given.view(steps[0].coarse), *reversed(of_grids)]


def _kernel(name: str, weight: Tensor) -> Kernel:
    return kernel(name, "upsampling", weight, {"TILE_ROWS": TILE[0], "TILE_COLUMNS": TILE[1]})


def _shape(shape: Sequence[int]) -> tuple[int, int]:
    rows, columns = shape
    return rows, columns
