"""Bits of latents under the context model on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.rows import RowKernels
from quinr_pl.ops.cpu.framed import Framed
from quinr_pl.ops.kernels import context as emitter
from quinr_pl.ops.laplace import LaplaceContext
from quinr_pl.ops.window import Shape, Window

_KERNELS = RowKernels(
    emitter, "the context model of latents", thread_numbers=40_000, least_rows=16, most_chunks=16
)


def context_bits(
    keep: bool,
    *tensors: Tensor,
    context: LaplaceContext,
    first: int,
    counted: Sequence[Window] | None = None,
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.context.context_bits and Operation.run."""
    check_readable("context model", *tensors)
    hidden_weight, hidden_bias, output_weight, output_bias, shifts, *grids = tensors
    width = len(hidden_bias)
    shapes = [(width, len(context.offsets) + 1), (width,), (2, width), (2,), (len(grids),)]
    check_shapes("context model", tensors[: len(shapes)], shapes)
    weights = [tensor.contiguous() for tensor in (hidden_weight, hidden_bias, output_weight)]
    windows = counted or [Window.whole((grid.shape[0], grid.shape[1])) for grid in grids]
    passes = []
    for index in range(first, len(grids)):
        bias = torch.stack([output_bias[0], output_bias[1] + shifts[index]])
        coarser = windows[index + 1].of(grids[index + 1]) if index + 1 < len(grids) else None
        passes.append(_run(context, [*weights, bias], grids[index], windows[index], coarser, keep))
    bits = torch.stack([one.sums[0] for one in passes])
    return bits, partial(_weighed, passes, first, [tensor.shape for tensor in tensors], windows)


def _weighed(
    passes: Sequence[_Pass],
    first: int,
    shapes: Sequence[torch.Size],
    windows: Sequence[Window],
    cotangent: Tensor,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of each grid's bits are known as soon as the bits are: here they are only weighed."""
    parts = [one.sums[1:] for one in passes]
    sums = (cotangent.double() @ torch.stack(parts).double()).to(cotangent.dtype)
    *weights, shifts = [cotangent.new_zeros(shape) for shape in shapes[:5]]
    for gradient, part in zip(weights, sums.split([shape.numel() for shape in shapes[:4]]), strict=True):
        gradient.copy_(part.view_as(gradient))
    shifts[first:] = cotangent * torch.stack([part[-1] for part in parts])
    grids: list[Tensor | None] = [None] * (len(shapes) - 5)
    for index, (one, weight) in enumerate(zip(passes, cotangent, strict=True), first):
        own = one.of_grid * weight
        known = grids[index]
        if known is not None:
            windows[index].of(own).add_(known)
        grids[index] = own
        if one.of_coarser is not None:
            grids[index + 1] = one.of_coarser * weight
    return [*weights, shifts, *grids]


@dataclass(frozen=True)
class _Pass:
    """What a kernel found on one grid.

    Attributes:
        sums: Bits, then the gradients of the weights; see the kernel's arguments.
        of_grid: Gradient in the grid's own latents, of its shape; nothing useful if none was wanted.
        of_coarser: That in the coarser grid's that count, None for the coarsest.
    """

    sums: Tensor
    of_grid: Tensor
    of_coarser: Tensor | None


def _run(
    context: LaplaceContext,
    weights: Sequence[Tensor],
    grid: Tensor,
    window: Window,
    coarser: Tensor | None,
    keep: bool,
) -> _Pass:
    """Bits of one grid's latents in a window; ``keep`` wants the gradients, too."""
    rows, columns = window.shape
    reach, width = emitter.reach_of(context.offsets), len(weights[0])
    frame = Framed(1, window.shape, reach, grid)
    corner = Window(window.top - reach, window.bottom, window.left - reach, window.right)
    place = Window.whole((grid.shape[0], grid.shape[1])).within(corner)
    place.of(frame.whole)[0] = grid
    above = _above(grid, window.shape, coarser)
    of_frame = Framed(1, window.shape, reach, grid) if keep else frame
    of_above = torch.zeros_like(above) if keep else above
    chunks = _KERNELS.chunks(rows)
    # Rows of the gradient before a chunk's first belong to another thread: what they receive is added later.
    halos = grid.new_zeros(len(chunks) if keep else 0, reach, frame.row)
    names = ("hidden_weight", "hidden_bias", "output_weight", "output_bias")
    shared = {
        "columns": columns,
        "width": width,
        "stride": frame.row,
        "coarser_stride": above.shape[1],
        "grid": frame.address(0, 0, 0),
        "coarser": above.data_ptr(),
        "of_grid": of_frame.address(0, 0, 0),
        "of_coarser": of_above.data_ptr(),
        **{name: tensor.data_ptr() for name, tensor in zip(names, weights, strict=True)},
    }
    sums = _KERNELS.run(
        "gradient" if keep else "forward",
        grid,
        shared,
        size=(rows, columns),
        sums=emitter.sums_count(len(context.offsets), width),
        memory={"hidden": width * VECTOR_BYTES},
        of_chunks=[{"halo": halo[0, reach:].data_ptr()} for halo in halos],
        settings=(context.offsets, context.octaves, context.least),
    )
    for (first, _), halo in zip(chunks, halos, strict=keep):
        of_frame.whole[0, first : first + reach] += halo  # whose rows begin in the margin
    of_coarser = None if coarser is None else _gathered(of_above, coarser.shape)
    return _Pass(sums, place.of(of_frame.whole)[0], of_coarser)


def _above(grid: Tensor, shape: Shape, coarser: Tensor | None) -> Tensor:
    """The coarser grid's latents at the places of a grid's, in rows of whole vectors; zero without one."""
    rows, columns = shape
    lanes = Precision.of(grid).lanes
    # One row more: those of coarser grids come in pairs.
    above = grid.new_zeros(rows + 1, lanes * -(-columns // lanes))
    if coarser is not None:
        _pairs(above, coarser.shape).copy_(coarser[:, None, :, None])
    return above


def _pairs(finer: Tensor, shape: torch.Size) -> Tensor:
    """The places of each latent of a coarser grid, (rows, 2, columns, 2)."""
    rows, columns = shape
    return finer[: 2 * rows, : 2 * columns].unflatten(1, (columns, 2)).unflatten(0, (rows, 2))


def _gathered(finer: Tensor, shape: torch.Size) -> Tensor:
    """Sums over the places of each latent of a coarser grid."""
    of_rows = _pairs(finer, shape)
    of_columns = of_rows[:, 0] + of_rows[:, 1]
    return of_columns[..., 0] + of_columns[..., 1]
