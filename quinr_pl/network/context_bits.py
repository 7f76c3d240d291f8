"""Bits of latents under the context model by compiled kernels, forward and backward in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_pl.native.machine_code import load
from quinr_pl.native.rows import over_rows
from quinr_pl.native.vectors import VECTOR_BYTES, Precision
from quinr_pl.network import context_kernels

Offsets = tuple[tuple[int, int], ...]

_CHUNKS = 16
_CHUNK_ROWS = 16
_THREAD_LATENTS = 10_000
"""Waking a thread for less takes longer than it saves."""


def bits_of_grids(
    offsets: Offsets,
    octaves: tuple[float, float],
    least: float,
    first: int,
    weights: Sequence[Tensor],
    grids: Sequence[Tensor],
) -> Tensor:
    """Bits of each grid from ``first`` on, (grids - first,), differentiable in weights and grids.

    Args:
        offsets: Rows down and columns right of the neighbours.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability of an integer.
        first: Grids before this one are left out.
        weights: Matrix (width, neighbours + 1) and bias of the hidden layer, matrix (2, width) and bias of
            the output, and the shift of each grid's scales.
        grids: (rows, columns) of each, the finest first, on the CPU and of the weights' dtype.
    """
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*weights, *grids))
    bits: Tensor = _Bits.apply((offsets, octaves, least), first, keep, *weights, *grids)
    return bits


class _Bits(torch.autograd.Function):
    """The gradients of each grid's bits are known as soon as the bits are: backward only weighs them."""

    @staticmethod
    def forward(ctx: Any, model: Any, first: int, keep: bool, *tensors: Tensor) -> Tensor:
        hidden_weight, hidden_bias, output_weight, output_bias, shifts, *grids = tensors
        weights = [tensor.contiguous() for tensor in (hidden_weight, hidden_bias, output_weight)]
        ctx.passes = []
        bits = []
        for index in range(first, len(grids)):
            bias = torch.stack([output_bias[0], output_bias[1] + shifts[index]])
            coarser = grids[index + 1] if index + 1 < len(grids) else None
            one = _Pass(model, [*weights, bias], grids[index], coarser, keep)
            bits.append(one.sums[0])
            ctx.passes.append(one)
        ctx.first, ctx.shapes = first, [tensor.shape for tensor in tensors]
        return torch.stack(bits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:
        parts = [one.sums[1:] for one in ctx.passes]
        sums = (cotangent.double() @ torch.stack(parts).double()).to(cotangent.dtype)
        *weights, shifts = [cotangent.new_zeros(shape) for shape in ctx.shapes[:5]]
        for gradient, part in zip(
            weights, sums.split([shape.numel() for shape in ctx.shapes[:4]]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))
        shifts[ctx.first :] = cotangent * torch.stack([part[-1] for part in parts])
        grids: list[Tensor | None] = [None] * (len(ctx.shapes) - 5)
        for index, (one, weight) in enumerate(zip(ctx.passes, cotangent, strict=True), ctx.first):
            own = one.of_grid * weight
            known = grids[index]
            grids[index] = own if known is None else known.add_(own)
            if one.of_coarser is not None:
                grids[index + 1] = one.of_coarser * weight
        return None, None, None, *weights, shifts, *grids


class _Pass:
    """One grid's way through a kernel.

    Attributes:
        sums: Bits, then the gradients of the weights; see context_kernels.Kernel.
        of_grid: Gradient in the grid's own latents, of its shape; only if gradients are wanted.
        of_coarser: That in the coarser grid's.
    """

    def __init__(
        self, model: Any, weights: Sequence[Tensor], grid: Tensor, coarser: Tensor | None, keep: bool
    ) -> None:
        offsets, octaves, least = model
        precision = Precision.of(grid)
        rows, columns = grid.shape
        reach = context_kernels.reach_of(offsets)
        padded = -(-columns // precision.lanes) * precision.lanes
        frame = (reach, padded - columns + reach, reach, 0)
        framed = torch.nn.functional.pad(grid, frame)
        stride = framed.shape[1]
        above = grid.new_zeros(rows + 1, padded)  # one more: rows of coarser grids come in pairs
        if coarser is not None:
            _pairs(above, coarser.shape).copy_(coarser[:, None, :, None])
        width = len(weights[0])
        count = context_kernels.sums_count(len(offsets), width)
        chunk = max(_CHUNK_ROWS, -(-rows // _CHUNKS))
        halos = grid.new_zeros(-(-rows // chunk) if keep else 0, reach, stride)
        gradient = torch.zeros_like(framed) if keep else framed
        of_coarser = torch.zeros_like(above) if keep else above
        size = grid.element_size()
        origin = (reach * stride + reach) * size
        shared = {
            "columns": columns,
            "width": width,
            "stride": stride,
            "coarser_stride": padded,
            "grid": framed.data_ptr() + origin,
            "coarser": above.data_ptr(),
            "of_grid": gradient.data_ptr() + origin,
            "of_coarser": of_coarser.data_ptr(),
        }
        names = ("hidden_weight", "hidden_bias", "output_weight", "output_bias")
        shared |= {name: tensor.data_ptr() for name, tensor in zip(names, weights, strict=True)}
        kernels = load(context_kernels, "the context model of latents", offsets, octaves, least, precision)
        self.sums = over_rows(
            kernels["gradient" if keep else "forward"],
            context_kernels.Kernel,
            shared,
            grid,
            rows=rows,
            chunk_rows=chunk,
            sums=count,
            memory={"hidden": width * VECTOR_BYTES, "sums": count * VECTOR_BYTES},
            most_threads=1 + grid.numel() // _THREAD_LATENTS,
            chunks=[{"halo": halo.data_ptr() + reach * size} for halo in halos],
        )
        self.of_grid = self.of_coarser = None
        if keep:
            for item, halo in enumerate(halos):
                # Frame row i is row i - reach of the grid.
                gradient[item * chunk : item * chunk + reach] += halo
            self.of_grid = gradient[reach:, reach : reach + columns]
            if coarser is not None:
                self.of_coarser = _gathered(of_coarser, coarser.shape)


def _pairs(finer: Tensor, shape: torch.Size) -> Tensor:
    """The places of each latent of a coarser grid, (rows, 2, columns, 2)."""
    rows, columns = shape
    return finer[: 2 * rows, : 2 * columns].unflatten(1, (columns, 2)).unflatten(0, (rows, 2))


def _gathered(finer: Tensor, shape: torch.Size) -> Tensor:
    """Sums over the places of each latent of a coarser grid."""
    of_rows = _pairs(finer, shape)
    of_columns = of_rows[:, 0] + of_rows[:, 1]
    return of_columns[..., 0] + of_columns[..., 1]
