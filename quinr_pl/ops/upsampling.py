"""Upsampling by two along both axes, and interpolation of a pyramid of grids to one resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quinr_pl.native.operation import Gradients, Operation
from quinr_pl.ops.cpu import upsampling as on_cpu
from quinr_pl.ops.cuda import upsampling as on_cuda
from quinr_pl.ops.dispatch import ByDevice
from quinr_pl.ops.kernels.upsampling import MARGIN, TAPS

Shape = tuple[int, int]


def upsampled(values: Tensor, weight: Tensor, shape: Shape | None = None) -> Tensor:
    """Twice the resolution along both axes; edges are repeated.

    Args:
        values: (grids, rows, columns).
        weight: Taps, (4,); see quinr_pl.network.latent.pyramid.Upsampling.
        shape: Rows and columns of the result, each twice as many as those of the values or one less. When
            left out, twice as many.

    Returns:
        (grids, *shape), differentiable in values and weight.
    """
    if shape is None:
        shape = 2 * values.shape[1], 2 * values.shape[2]
    return _upsampled(values, weight, shape=shape)


def interpolated(weight: Tensor, grids: Sequence[Tensor], shapes: Sequence[Shape]) -> Tensor:
    """Grids at the resolution of the finest of ``shapes``, differentiable in the taps and in the grids.

    Args:
        weight: Taps of each doubling, that to the finest of ``shapes`` first, (doublings, 4).
        grids: (rows, columns) of each, from the coarsest on.
        shapes: Rows and columns of all resolutions from that of the coarsest grid on, each of half the next,
            rounded up. A grid joins at the resolution that is its own; there are at least as many.

    Returns:
        (grids, rows, columns), the finest first.
    """
    return _interpolated(weight, *grids, shapes=tuple((rows, columns) for rows, columns in shapes))


def joined(
    upsample: Callable[[Tensor, int], Tensor], grids: Sequence[Tensor], shapes: Sequence[Shape]
) -> Tensor:
    """What :func:`interpolated` gives, by any (grids, rows, columns) -> (grids, 2 rows, 2 columns).

    It is told how many doublings come after its own.
    """
    result = grids[0][None]  # (grids so far, rows, columns)
    for level, (rows, columns) in enumerate(shapes[1:], 1):
        result = upsample(result, len(shapes) - 1 - level)[:, :rows, :columns]
        if level < len(grids):
            result = torch.cat([grids[level][None], result])
    return result


def _upsampled_in_torch(values: Tensor, weight: Tensor, *, shape: Shape) -> Tensor:
    framed = nn.functional.pad(values[None], (0, 0, MARGIN, MARGIN), mode="replicate")[0]
    rows = _UpsampledAlong(1)(framed, weight)
    framed = nn.functional.pad(rows[None], (MARGIN, MARGIN, 0, 0), mode="replicate")[0]
    return _UpsampledAlong(2)(framed, weight)[:, : shape[0], : shape[1]]


def _interpolated_in_torch(weight: Tensor, *grids: Tensor, shapes: Sequence[Shape]) -> Tensor:
    return joined(lambda values, after: upsampled(values, weight[after]), grids, shapes)


_upsampled = ByDevice(_upsampled_in_torch, cpu=on_cpu.upsampled, cuda=on_cuda.upsampled)
_interpolated = ByDevice(_interpolated_in_torch, cpu=on_cpu.interpolated, cuda=on_cuda.interpolated)


@dataclass(frozen=True)
class _UpsampledAlong(Operation):
    """Upsampling of a frame along one axis: torch's own gradient takes twice as long, for its temporaries.

    Tap k weighs the sample k places into the frame for even results, and the one 4 - k places into it for
    odd ones.

    Attributes:
        axis: It has two samples more at either end than the result has pairs.
    """

    axis: int

    def _near(self, framed: Tensor) -> list[Tensor]:
        size = framed.shape[self.axis] - 2 * MARGIN
        return [framed.narrow(self.axis, shift, size) for shift in range(2 * MARGIN + 1)]

    def in_torch(self, framed: Tensor, weight: Tensor) -> Tensor:
        near = torch.stack(self._near(framed))
        pair = [torch.tensordot(weight, part, 1) for part in (near[:TAPS], near.flip(0)[:TAPS])]
        return torch.stack(pair, self.axis + 1).flatten(self.axis, self.axis + 1)

    def run(self, keep: bool, framed: Tensor, weight: Tensor) -> tuple[Tensor, Gradients]:
        axis, near = self.axis, self._near(framed)
        even, odd = near[0] * weight[0], near[-1] * weight[0]
        for tap, value in enumerate(weight.tolist()[1:], 1):
            even.add_(near[tap], alpha=value)
            odd.add_(near[-1 - tap], alpha=value)

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            parts = cotangent.unflatten(axis, (-1, 2)).unbind(axis + 1)
            even, odd = (part.contiguous() for part in parts)
            of_framed, of_weight = torch.zeros_like(framed), torch.empty_like(weight)
            for tap, value in enumerate(weight.tolist()):
                places = ((even, tap), (odd, 2 * MARGIN - tap))
                for gradient, shift in places:
                    of_framed.narrow(axis, shift, gradient.shape[axis]).add_(gradient, alpha=value)
                of_weight[tap] = sum(torch.tensordot(near[shift], part, 3) for part, shift in places)
            return of_framed, of_weight

        return torch.stack([even, odd], axis + 1).flatten(axis, axis + 1), gradients
