"""Bits of latents under the context model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from quinr_pl.ops.cpu import context as on_cpu
from quinr_pl.ops.cuda import context as on_cuda
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.kernels.context import reach_of
from quinr_pl.ops.laplace import LaplaceContext, Offsets, laplace_bits, weight_count
from quinr_pl.ops.window import Window

Layer = Callable[[Tensor], Tensor]


def context_bits(
    *tensors: Tensor,
    context: LaplaceContext,
    first: int = 0,
    counted: Sequence[Window] | None = None,
) -> Tensor:
    """Bits of each grid's latents, differentiable in weights and grids.

    Args:
        tensors: Matrix and bias of the hidden layer, (width, neighbours + 1) and (width,); of a second hidden
            one where there is one, (width, width) and (width,), see :func:`bits_by_layers`; of the output,
            (2, width) and (2,): mean and binary logarithm of the scale. Then what is added to the logarithms
            of each grid, (grids,), and the grids, (rows, columns) of each, finest first.
        context: The neighbours that the model sees, and the bounds of its distributions.
        first: Grids before this one are left out.
        counted: Of parts of grids: the window of each part whose latents count. What lies around it, at most
            as far as neighbours reach, is seen. Each window but the coarsest begins at an even row and
            column of its grid and covers what the next one does.

    Returns:
        (grids - first,).
    """
    if counted is None:
        return _context_bits(*tensors, context=context, first=first)
    return _bits_of_parts(*tensors, context=context, first=first, counted=counted)


def bits_by_layers(
    layers: Sequence[Layer],
    shifts: Tensor,
    grids: Sequence[Tensor],
    context: LaplaceContext,
    first: int = 0,
    counted: Sequence[Window] | None = None,
) -> Tensor:
    """What :func:`context_bits` gives, by any two or three layers.

    Each is (features, latents) -> (features, latents). ReLU follows on the hidden ones; a second one's values
    are added to its inputs before.
    """
    hidden, *second, output = layers
    windows = counted or [Window.whole((grid.shape[0], grid.shape[1])) for grid in grids]
    inputs = [seen_latents(grids, index, context.offsets, windows) for index in range(first, len(grids))]
    sizes = [part.shape[1] for part in inputs]
    units = torch.relu(hidden(torch.cat(inputs, 1)))
    for layer in second:
        units = torch.relu(units + layer(units))
    mean, scale = output(units)  # (latents,) each
    shift = torch.cat([part.expand(size) for part, size in zip(shifts[first:], sizes, strict=True)])
    own = [window.of(grid) for grid, window in zip(grids, windows, strict=True)]
    values = torch.cat([grid.flatten() for grid in own[first:]])
    bits = laplace_bits(values - mean, scale + shift, context.octaves, context.least)
    return torch.stack([part.sum() for part in bits.split(sizes)])


def seen_latents(
    grids: Sequence[Tensor], index: int, offsets: Offsets, counted: Sequence[Window] | None = None
) -> Tensor:
    """What the context model sees of each latent of a grid.

    Args:
        grids: (rows, columns) of each, finest first.
        index: Which of them.
        offsets: Rows down and columns right of the neighbours.
        counted: As for :func:`context_bits`: the window of each grid whose latents are asked for.

    Returns:
        (neighbours + 1, latents): the neighbours, zero outside the grid, then the latent of the next coarser
        grid that covers the same place, zero for the coarsest.
    """
    windows = counted or [Window.whole((grid.shape[0], grid.shape[1])) for grid in grids]
    grid, window = grids[index], windows[index]
    rows, columns = window.shape
    reach = reach_of(offsets)
    right = grid.shape[1] - window.right
    padded = nn.functional.pad(grid, (reach - window.left, reach - right, reach - window.top, 0))
    seen = [
        padded[reach + down : reach + down + rows, reach + across : reach + across + columns].flatten()
        for down, across in offsets
    ]
    if index + 1 < len(grids):
        coarser = windows[index + 1].of(grids[index + 1]).repeat_interleave(2, 0).repeat_interleave(2, 1)
        seen.append(coarser[:rows, :columns].flatten())
    else:
        seen.append(grid.new_zeros(rows * columns))
    return torch.stack(seen)


def _in_torch(
    *tensors: Tensor, context: LaplaceContext, first: int, counted: Sequence[Window] | None = None
) -> Tensor:
    count = weight_count(tensors)
    weights, (shifts, *grids) = tensors[:count], tensors[count:]
    layers = [partial(_linear, *pair) for pair in zip(weights[::2], weights[1::2], strict=True)]
    return bits_by_layers(layers, shifts, grids, context, first, counted)


def _linear(weight: Tensor, bias: Tensor, inputs: Tensor) -> Tensor:
    return torch.addmm(bias[:, None], weight, inputs)


_context_bits = ByDevice(_in_torch, cpu=on_cpu.context_bits, cuda=on_cuda.context_bits)
_bits_of_parts = ByDevice(_in_torch, cpu=on_cpu.context_bits)
