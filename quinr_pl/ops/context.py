"""Bits of latents under the context model: by compiled kernels on the CPU, else by torch operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from quinr_pl.native.machine_code import load
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import CpuOperation, Gradients
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.rows import over_rows
from quinr_pl.ops.kernels import context as context_kernels

Offsets = tuple[tuple[int, int], ...]
Layer = Callable[[Tensor], Tensor]

_CHUNKS = 16
_CHUNK_ROWS = 16
_THREAD_LATENTS = 40_000
"""About 1 ms of work. Waking a thread takes 0.1 to 0.4 ms."""


def laplace_bits(deviation: Tensor, log_scale: Tensor, octaves: tuple[float, float], least: float) -> Tensor:
    """Bits of an integer under a Laplace distribution that is integrated over half a unit to either side.

    Args:
        deviation: Value less mean.
        log_scale: Binary logarithm of the scale, clamped to ``octaves``.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability, where training has no gradient.

    Returns:
        Bits, of the shape of the arguments.
    """
    inverse = torch.exp2(-log_scale.clamp(*octaves))
    distance = deviation.abs()
    near = torch.exp((distance - 0.5).abs() * -inverse)  # twice the mass beyond the nearer edge
    far = torch.exp((distance + 0.5) * -inverse)
    mass = torch.where(distance < 0.5, 1 - 0.5 * (near + far), 0.5 * (near - far))
    return -torch.log2(mass.clamp_min(least))


@dataclass(frozen=True)
class Bits(CpuOperation):
    """Bits of each grid from ``first`` on, (grids - first,), differentiable in weights and grids.

    Its tensors are the matrix (width, neighbours + 1) and bias of the hidden layer, the matrix (2, width) and
    bias of the output, the shift of each grid's scales, and the grids, (rows, columns) each, finest first.

    Attributes:
        offsets: Rows down and columns right of the neighbours.
        octaves: Binary logarithms of the smallest and of the largest scale.
        least: The smallest probability of an integer.
        first: Grids before this one are left out.
    """

    offsets: Offsets
    octaves: tuple[float, float]
    least: float
    first: int

    def in_torch(
        self,
        hidden_weight: Tensor,
        hidden_bias: Tensor,
        output_weight: Tensor,
        output_bias: Tensor,
        shifts: Tensor,
        *grids: Tensor,
    ) -> Tensor:
        """See Operation."""

        def hidden(inputs: Tensor) -> Tensor:
            return torch.addmm(hidden_bias[:, None], hidden_weight, inputs)

        def output(units: Tensor) -> Tensor:
            return torch.addmm(output_bias[:, None], output_weight, units)

        return self.by_layers(hidden, output, shifts, grids)

    def by_layers(self, hidden: Layer, output: Layer, shifts: Tensor, grids: Sequence[Tensor]) -> Tensor:
        """Bits from the two layers, (features, latents) -> (features, latents) each."""
        inputs = [self._inputs(grids, index) for index in range(self.first, len(grids))]
        sizes = [part.shape[1] for part in inputs]
        mean, scale = output(torch.relu(hidden(torch.cat(inputs, 1))))  # (latents,) each
        parts = zip(shifts[self.first :], sizes, strict=True)
        shift = torch.cat([part.expand(size) for part, size in parts])
        values = torch.cat([grid.flatten() for grid in grids[self.first :]])
        bits = laplace_bits(values - mean, scale + shift, self.octaves, self.least)
        return torch.stack([part.sum() for part in bits.split(sizes)])

    def _inputs(self, grids: Sequence[Tensor], index: int) -> Tensor:
        """What is known of the latents of one grid, (neighbours + 1, latents)."""
        grid = grids[index]
        rows, columns = grid.shape
        reach = context_kernels.reach_of(self.offsets)
        padded = nn.functional.pad(grid, (reach, reach, reach, 0))
        seen = [
            padded[reach + down : reach + down + rows, reach + right : reach + right + columns].flatten()
            for down, right in self.offsets
        ]
        if index + 1 < len(grids):
            coarser = grids[index + 1].repeat_interleave(2, 0).repeat_interleave(2, 1)
            seen.append(coarser[:rows, :columns].flatten())
        else:
            seen.append(grid.new_zeros(rows * columns))
        return torch.stack(seen)

    def run(self, keep: bool, *tensors: Tensor) -> tuple[Tensor, Gradients]:
        """See Operation."""
        check_readable("context model", *tensors)
        hidden_weight, hidden_bias, output_weight, output_bias, shifts, *grids = tensors
        width = len(hidden_bias)
        shapes = [(width, len(self.offsets) + 1), (width,), (2, width), (2,), (len(grids),)]
        check_shapes("context model", tensors[: len(shapes)], shapes)
        weights = [tensor.contiguous() for tensor in (hidden_weight, hidden_bias, output_weight)]
        passes = []
        for index in range(self.first, len(grids)):
            bias = torch.stack([output_bias[0], output_bias[1] + shifts[index]])
            coarser = grids[index + 1] if index + 1 < len(grids) else None
            passes.append(_Pass(self, [*weights, bias], grids[index], coarser, keep))
        bits = torch.stack([one.sums[0] for one in passes])
        return bits, partial(_weighed, passes, self.first, [tensor.shape for tensor in tensors])


def _weighed(
    passes: Sequence[_Pass],
    first: int,
    shapes: Sequence[torch.Size],
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
        grids[index] = own if known is None else known.add_(own)
        if one.of_coarser is not None:
            grids[index + 1] = one.of_coarser * weight
    return [*weights, shifts, *grids]


class _Pass:
    """One grid's way through a kernel.

    Attributes:
        sums: Bits, then the gradients of the weights; see context_kernels.Kernel.
        of_grid: Gradient in the grid's own latents, of its shape; only if gradients are wanted.
        of_coarser: That in the coarser grid's.
    """

    def __init__(
        self, model: Bits, weights: Sequence[Tensor], grid: Tensor, coarser: Tensor | None, keep: bool
    ) -> None:
        offsets, octaves, least = model.offsets, model.octaves, model.least
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
