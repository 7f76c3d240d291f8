"""Upsampling by two and interpolation of a pyramid on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from quinr_pl.errors import QuinrError
from quinr_pl.native.memory import (
    AnyArray,
    address,
    check_readable,
    check_shapes,
    contiguous,
    empty,
    numbers,
    strides,
)
from quinr_pl.native.precision import Precision
from quinr_pl.native.rows import RowKernels, Words
from quinr_pl.ops.cpu.framed import Framed
from quinr_pl.ops.kernels import upsampling as emitter
from quinr_pl.ops.kernels.upsampling import LINES_MARGIN, MARGIN, TAPS

if TYPE_CHECKING:
    from torch import Tensor

    from quinr_pl.native.operation import Gradients

_KERNELS = RowKernels(emitter, "the interpolation of latents", thread_numbers=500_000, least_rows=32)


def upsampled(
    keep: bool, values: AnyArray, weight: AnyArray, *, shape: Sequence[int]
) -> tuple[AnyArray, Gradients]:
    """See quinr_pl.ops.upsampling.upsampled and Operation.run."""
    check_readable("upsampling", values, weight)
    check_shapes("upsampling", (weight,), [(TAPS,)])
    weight = contiguous(weight)
    framed: Any = Framed.around(values, MARGIN)
    finer = _upsampled(weight, framed, len(values), shape, last=True)
    taps: Any = weight  # a tensor, where gradients are asked for

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
        found, of_weight = _back(taps, framed, Framed.of(cotangent, _least_margin(shape)))
        return found.taken(), of_weight

    return finer.taken(), gradients


def interpolated(
    keep: bool, weight: Tensor, *grids: Tensor, shapes: Sequence[Sequence[int]]
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.upsampling.interpolated and Operation.run."""
    check_readable("interpolation of latents", weight, *grids)
    expected = [tuple(shape) for shape in shapes[: len(grids)]]
    check_shapes("interpolation of latents", (weight, *grids), [(len(shapes) - 1, TAPS), *expected])
    weight = contiguous(weight)
    frames = [Framed.around(grids[0][None], MARGIN)]
    for level, shape in enumerate(shapes[1:], 1):
        joins = int(level < len(grids))
        last = level == len(shapes) - 1
        finer = _upsampled(weight[-level], frames[-1], len(frames[-1].whole) + joins, shape, last)
        if joins:
            finer.signal[0] = grids[level]
        frames.append(finer)
    gradients = partial(_gradients, weight, frames[:-1] if keep else [], len(grids))
    return frames[-1].taken(), gradients


def _gradients(
    weight: Tensor, frames: list[Framed[Tensor]], joined: int, cotangent: Tensor, needed: Sequence[bool]
) -> list[Tensor]:
    """Gradients in the taps and in the grids, of which the coarsest ``joined`` have a frame of their own."""
    given = Framed.of(cotangent, _least_margin(cotangent.shape[1:]))
    of_weight = empty(weight, *weight.shape)
    of_grids = []
    for level in range(len(frames), 0, -1):
        if level < joined:
            of_grids.append(given.signal[0].clone())
        given, of_weight[-level] = _back(weight[-level], frames[level - 1], given)
    of_grids.append(given.signal[0].clone())
    return [of_weight, *reversed(of_grids)]


def _upsampled(
    weight: AnyArray, frame: Framed[AnyArray], grids: int, shape: Sequence[int], last: bool = False
) -> Framed[AnyArray]:
    """The grids of a frame at twice the resolution, as the last ones of a frame of as many as ``grids``.

    What lies around them is undefined. The last frame has no larger margin than it needs.
    """
    for coarse, fine in zip((frame.rows, frame.columns), shape, strict=True):
        if not 0 <= 2 * coarse - fine <= 1:  # the kernel would write beyond the frame
            raise QuinrError(f"upsampling by two got shapes {(frame.rows, frame.columns)} and {tuple(shape)}")
    frame.repeat_edges(MARGIN)
    finer = Framed(grids, shape, _least_margin(shape) if last else MARGIN, weight)
    joins = grids - len(frame.whole)
    planes = [
        {"values": frame.address(grid, -MARGIN, -MARGIN), "result": finer.address(grid + joins, 0, 0)}
        for grid in range(len(frame.whole))
    ]
    _run("forward", frame.rows, weight, frame, planes, result_row=finer.row)
    return finer


def _least_margin(shape: Sequence[int]) -> int:
    """Margin of a frame that kernels write or read at twice the resolution: whole pairs of rows."""
    return shape[0] % 2


def _back(weight: Tensor, frame: Framed[Tensor], given: Framed[Tensor]) -> tuple[Framed[Tensor], Tensor]:
    """Gradients in the grids of a frame, as a frame with a clear margin, and in the taps."""
    grids = len(frame.whole)
    joins = len(given.whole) - grids
    lines = empty(weight, grids, 2 * (frame.rows + LINES_MARGIN), frame.row)
    edges = numbers(lines)
    edges[:, :LINES_MARGIN] = edges[:, LINES_MARGIN + 2 * frame.rows :] = 0
    found = Framed(grids, (frame.rows, frame.columns), MARGIN, weight, clear=False)
    planes = [
        {
            "values": frame.address(grid, -MARGIN, -MARGIN),
            "given": given.address(grid + joins, 0, 0),
            "lines": address(lines) + lines.itemsize * (grid * strides(lines)[0] + LINES_MARGIN * frame.row),
            "of_values": found.address(grid, -MARGIN, -MARGIN),
        }
        for grid in range(grids)
    ]
    sums = _run("of_lines", frame.rows, weight, frame, planes, result_row=given.row)
    sums += _run("of_values", frame.rows + 2 * MARGIN, weight, frame, planes)
    found.fold_edges(MARGIN)
    return found, sums


def _run(
    name: str,
    rows: int,
    weight: AnyArray,
    frame: Framed[AnyArray],
    planes: Sequence[Words],
    result_row: int = 0,
) -> AnyArray:
    """Run a kernel on rows of all grids; returns the sums of the taps' gradients."""
    shared = {
        "rows": frame.rows,
        "columns": frame.columns,
        "values_row": frame.row,
        "result_row": result_row,
        "lines_row": frame.row,
        "weight": address(weight),
    }
    line = weight.itemsize * emitter.scratch_numbers(frame.columns, Precision.of(weight).lanes)
    memory = {"line": line, "even": line, "odd": line}
    size = (rows, frame.columns)
    return _KERNELS.run(name, weight, shared, size=size, sums=TAPS, memory=memory, planes=planes)
