"""Bits of latents under the context model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from quinr_pl.ops.cpu import context as on_cpu
from quinr_pl.ops.cuda import context as on_cuda
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.kernels.context import reach_of
from quinr_pl.ops.laplace import LaplaceContext, Offsets, laplace_bits

Layer = Callable[[Tensor], Tensor]


def context_bits(
    hidden_weight: Tensor,
    hidden_bias: Tensor,
    output_weight: Tensor,
    output_bias: Tensor,
    shifts: Tensor,
    *grids: Tensor,
    context: LaplaceContext,
    first: int = 0,
) -> Tensor:
    """Bits of each grid's latents, differentiable in weights and grids.

    Args:
        hidden_weight: Matrix of the hidden layer, (width, neighbours + 1).
        hidden_bias: Its bias, (width,).
        output_weight: Matrix of the output, (2, width): mean and binary logarithm of the scale.
        output_bias: Its bias, (2,).
        shifts: Added to the logarithms of each grid, (grids,).
        grids: (rows, columns) of each, finest first.
        context: The neighbours that the model sees, and the bounds of its distributions.
        first: Grids before this one are left out.

    Returns:
        (grids - first,).
    """
    tensors = (hidden_weight, hidden_bias, output_weight, output_bias, shifts, *grids)
    return _context_bits(*tensors, context=context, first=first)


def bits_by_layers(
    hidden: Layer,
    output: Layer,
    shifts: Tensor,
    grids: Sequence[Tensor],
    context: LaplaceContext,
    first: int = 0,
) -> Tensor:
    """What :func:`context_bits` gives, by any two layers, (features, latents) -> (features, latents) each."""
    inputs = [seen_latents(grids, index, context.offsets) for index in range(first, len(grids))]
    sizes = [part.shape[1] for part in inputs]
    mean, scale = output(torch.relu(hidden(torch.cat(inputs, 1))))  # (latents,) each
    shift = torch.cat([part.expand(size) for part, size in zip(shifts[first:], sizes, strict=True)])
    values = torch.cat([grid.flatten() for grid in grids[first:]])
    bits = laplace_bits(values - mean, scale + shift, context.octaves, context.least)
    return torch.stack([part.sum() for part in bits.split(sizes)])


def seen_latents(grids: Sequence[Tensor], index: int, offsets: Offsets) -> Tensor:
    """What the context model sees of each latent of a grid.

    Args:
        grids: (rows, columns) of each, finest first.
        index: Which of them.
        offsets: Rows down and columns right of the neighbours.

    Returns:
        (neighbours + 1, latents): the neighbours, zero outside the grid, then the latent of the next coarser
        grid that covers the same place, zero for the coarsest.
    """
    grid = grids[index]
    rows, columns = grid.shape
    reach = reach_of(offsets)
    padded = nn.functional.pad(grid, (reach, reach, reach, 0))
    seen = [
        padded[reach + down : reach + down + rows, reach + right : reach + right + columns].flatten()
        for down, right in offsets
    ]
    if index + 1 < len(grids):
        coarser = grids[index + 1].repeat_interleave(2, 0).repeat_interleave(2, 1)
        seen.append(coarser[:rows, :columns].flatten())
    else:
        seen.append(grid.new_zeros(rows * columns))
    return torch.stack(seen)


def _in_torch(*tensors: Tensor, context: LaplaceContext, first: int) -> Tensor:
    hidden_weight, hidden_bias, output_weight, output_bias, shifts, *grids = tensors

    def hidden(inputs: Tensor) -> Tensor:
        return torch.addmm(hidden_bias[:, None], hidden_weight, inputs)

    def output(units: Tensor) -> Tensor:
        return torch.addmm(output_bias[:, None], output_weight, units)

    return bits_by_layers(hidden, output, shifts, grids, context, first)


_context_bits = ByDevice(_in_torch, cpu=on_cpu.context_bits, cuda=on_cuda.context_bits)
