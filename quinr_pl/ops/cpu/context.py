"""Bits of latents under the context model on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.native.memory import check_readable, check_shapes, numbers, summed
from quinr_pl.native.operation import Gradients
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.rows import Plane, RowKernels
from quinr_pl.ops.cpu.framed import Framed
from quinr_pl.ops.kernels import context as emitter
from quinr_pl.ops.kernels import laplace
from quinr_pl.ops.laplace import TWO_LAYERS, LaplaceContext, weight_count, weight_shapes
from quinr_pl.ops.window import Window

_KERNELS = RowKernels(
    emitter,
    "the context model of latents",
    thread_numbers=40_000,
    least_rows=16,
    most_chunks=16,
    unit=2,
    sources=(laplace,),
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
    count = weight_count(tensors)
    (*matrices, output_bias), (shifts, *grids) = tensors[:count], tensors[count:]
    width = len(tensors[1])
    shapes = weight_shapes(context, width, width if count == TWO_LAYERS else 0, len(grids))
    check_shapes("context model", tensors[: count + 1], shapes)
    weights = [tensor.contiguous() for tensor in matrices]
    biases = output_bias + torch.stack([torch.zeros_like(shifts), shifts], 1)  # (grids, 2)
    windows = counted or [Window.whole((grid.shape[0], grid.shape[1])) for grid in grids]
    frames = [_Framed(*pair, emitter.reach_of(context.offsets)) for pair in zip(grids, windows, strict=True)]
    found = _run(context, [*weights, biases[first:]], frames[first:], keep)
    bits = torch.stack([one.sums[0] for one in found])
    return bits, partial(_weighed, found, first, [tensor.shape for tensor in tensors], windows)


def _weighed(
    passes: Sequence[_Found],
    first: int,
    shapes: Sequence[torch.Size],
    windows: Sequence[Window],
    cotangent: Tensor,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of each grid's bits are known as soon as the bits are: here they are only weighed."""
    parts = [one.sums[1:] for one in passes]
    sums = (cotangent.double() @ torch.stack(parts).double()).to(cotangent.dtype)
    count = len(shapes) - len(windows) - 1  # tensors of weights
    *weights, shifts = [cotangent.new_zeros(shape) for shape in shapes[: count + 1]]
    for gradient, part in zip(weights, sums.split([shape.numel() for shape in shapes[:count]]), strict=True):
        gradient.copy_(part.view_as(gradient))
    shifts[first:] = cotangent * torch.stack([part[-1] for part in parts])
    grids: list[Tensor | None] = [None] * len(windows)
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
class _Found:
    """What a kernel found on one grid.

    Attributes:
        sums: Bits, then the gradients of the weights; see the kernel's arguments.
        of_grid: Gradient in the grid's own latents, of its shape; nothing useful if none was wanted.
        of_coarser: That in the coarser grid's that count, None for the coarsest.
    """

    sums: Tensor
    of_grid: Tensor
    of_coarser: Tensor | None


class _Framed:
    """A grid's latents, those that count in the middle of a frame.

    Args:
        grid: (rows, columns).
        window: Those that count.
        reach: Rows and columns that a latent's neighbours lie within: the margin.

    Attributes:
        frame: Holds them.
        place: Where the grid lies in it.
    """

    def __init__(self, grid: Tensor, window: Window, reach: int) -> None:
        self.frame = Framed(1, window.shape, reach, grid)
        corner = Window(window.top - reach, window.bottom, window.left - reach, window.right)
        self.place = Window.whole((grid.shape[0], grid.shape[1])).within(corner)
        self.place.of(self.frame.whole)[0] = grid


def _run(
    context: LaplaceContext, weights: Sequence[Tensor], grids: Sequence[_Framed], keep: bool
) -> list[_Found]:
    """Bits of each grid; ``keep`` wants the gradients, too."""
    reach, width = emitter.reach_of(context.offsets), len(weights[0])
    hidden, of_second = ("hidden_weight", "hidden_bias"), ("second_weight", "second_bias")
    second = width if len(weights) == TWO_LAYERS else 0
    names = (*hidden, *(of_second if second else ()), "output_weight")
    shared = {"width": width, **{n: t.data_ptr() for n, t in zip(names, weights[:-1], strict=True)}}
    frames = [grid.frame for grid in grids]
    nothing = [-(-frames[-1].rows // 2), -(-frames[-1].columns // 2)]
    above = [*frames[1:], _zeros(nothing, reach, weights[0])]
    gradients = [_Gradient(*pair, reach) if keep else None for pair in zip(frames, above, strict=True)]
    planes = [_plane(*each) for each in zip(frames, above, weights[-1], gradients, strict=True)]
    neighbours, like = len(context.offsets), weights[0]
    kept = {"hidden": width, "second": second, "seen": neighbours + 1, "of_output": 2}
    memory = {name: emitter.TILE * count * VECTOR_BYTES for name, count in kept.items()}
    widest, lanes = max(frame.columns for frame in frames), Precision.of(like).lanes
    memory["received"] = like.itemsize * emitter.received_numbers(neighbours, widest, lanes)
    totals = _KERNELS.run_planes(
        "gradient" if keep else "forward",
        weights[0],
        shared,
        planes,
        sum(frame.rows * frame.columns for frame in frames),
        emitter.sums_count(len(context.offsets), width, second),
        memory=memory,
        settings=(context.offsets, context.octaves, context.least, second),
    )
    parts = totals.split([len(_KERNELS.chunks(frame.rows)) for frame in frames])
    found = []
    for grid, part, gradient in zip(grids, parts, gradients, strict=True):
        of_grid, of_coarser = (part, part) if gradient is None else gradient.found(grid.place)
        found.append(_Found(summed(part), of_grid, None if grid is grids[-1] else of_coarser))
    return found


class _Gradient:
    """Gradients of a grid's bits in its own latents and in those of the coarser grid.

    Args:
        frame: The grid's latents.
        above: Those of the coarser grid.
        reach: Rows and columns that a latent's neighbours lie within.

    Attributes:
        own: The gradient in the grid's latents.
        coarser: That in the coarser grid's.
        halos: What chunks add to the rows before their first, (chunks, reach, numbers of a row): those belong
            to another thread, and receive it later.
    """

    def __init__(self, frame: Framed[Tensor], above: Framed[Tensor], reach: int) -> None:
        self.own, self.coarser = (_zeros((one.rows, one.columns), reach, one.whole) for one in (frame, above))
        self._chunks, self._reach = _KERNELS.chunks(frame.rows), reach
        self.halos = frame.whole.new_zeros(len(self._chunks), reach, frame.row)

    def found(self, place: Window) -> tuple[Tensor, Tensor]:
        """Both of them; the grid lies at a place of its frame."""
        whole = numbers(self.own.whole)[0]
        for (first, _), halo in zip(self._chunks, numbers(self.halos), strict=True):
            whole[first : first + self._reach] += halo  # whose rows begin in the margin
        return place.of(self.own.whole)[0], self.coarser.signal[0]

    def words(self) -> tuple[dict[str, int], dict[str, npt.NDArray[np.int64]]]:
        """Words of the grid, and those of each of its chunks."""
        size = self.halos.element_size()
        places = np.arange(len(self.halos)) * self.halos.stride(0) + self._reach
        own = {"of_grid": self.own.address(0, 0, 0), "of_coarser": self.coarser.address(0, 0, 0)}
        return own, {"halo": self.halos.data_ptr() + size * places}


def _plane(frame: Framed[Tensor], above: Framed[Tensor], bias: Tensor, gradient: _Gradient | None) -> Plane:
    own, of_chunks = ({}, {}) if gradient is None else gradient.words()
    words = {
        "columns": frame.columns,
        "stride": frame.row,
        "coarser_stride": above.row,
        "grid": frame.address(0, 0, 0),
        "coarser": above.address(0, 0, 0),
        "output_bias": bias.data_ptr(),
        **own,
    }
    return Plane(frame.rows, words, of_chunks)


def _zeros(shape: Sequence[int], margin: int, like: Tensor) -> Framed[Tensor]:
    found = Framed(1, shape, margin, like, clear=False)
    found.whole.zero_()
    return found
