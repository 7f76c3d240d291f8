"""Interpolation of a pyramid of grids by compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_pl.native.machine_code import load
from quinr_pl.native.rows import Words, over_rows
from quinr_pl.native.vectors import VECTOR_BYTES, Precision
from quinr_pl.network import doubling_kernels
from quinr_pl.network.doubling_kernels import LINES_MARGIN, MARGIN, TAPS

Shape = tuple[int, int]

_CHUNK_ROWS = 32
_THREAD_VALUES = 20_000
"""Waking a thread for less takes longer than it saves."""


def interpolated(weight: Tensor, grids: Sequence[Tensor], shapes: Sequence[Shape]) -> Tensor:
    """Grids at the resolution of the finest of ``shapes``, differentiable in the taps and in the grids.

    Args:
        weight: (4,); see quinr_pl.network.latent_pyramid.Doubling.
        grids: (rows, columns) of each, from the coarsest on, on the CPU.
        shapes: Rows and columns of all resolutions from that of the coarsest grid on, each of half the next,
            rounded up. A grid joins at the resolution that is its own; there are at least as many.

    Returns:
        (grids, rows, columns), the finest first.
    """
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (weight, *grids))
    result: Tensor = _Interpolated.apply(keep, list(shapes), weight, *grids)
    return result


class _Interpolated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keep: bool, shapes: list[Shape], weight: Tensor, *grids: Tensor) -> Tensor:
        frame = _Frame(1, shapes[0], weight)
        frame.signal[0] = grids[0]
        frames = [frame]
        for level, shape in enumerate(shapes[1:], 1):
            joins = int(level < len(grids))
            finer = _Frame(len(frame.signal) + joins, shape, weight)
            frame.repeat_edges()
            _double(weight, frame, finer)
            if joins:
                finer.signal[0] = grids[level]
            frame = finer
            frames.append(frame)
        ctx.frames, ctx.joined = frames if keep else [], len(grids)
        ctx.save_for_backward(weight)
        return frame.signal.clone(memory_format=torch.contiguous_format)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:
        (weight,) = ctx.saved_tensors
        given = _Frame(len(cotangent), cotangent.shape[1:], weight)
        given.signal.copy_(cotangent)
        of_weight = torch.zeros_like(weight)
        of_grids = []
        for level in range(len(ctx.frames) - 1, 0, -1):
            if level < ctx.joined:
                of_grids.append(given.signal[0].clone())
            given, sums = _back(weight, ctx.frames[level - 1], given)
            of_weight += sums
        of_grids.append(given.signal[0].clone())
        return None, None, of_weight, *reversed(of_grids)


class _Frame:
    """Grids of one resolution with a margin all around.

    Attributes:
        whole: (grids, rows + 4, numbers a row), zero at first.
        signal: The grids themselves, a part of it.
    """

    def __init__(self, grids: int, shape: Sequence[int], like: Tensor) -> None:
        self.rows, self.columns = shape
        self.precision = Precision.of(like)
        lanes = self.precision.lanes

        def vectors(columns: int) -> int:
            return lanes * -(-columns // lanes)

        # Kernels read a frame in whole vectors, and write twice as many as the coarser signal has.
        row = max(vectors(self.columns + 2 * MARGIN), MARGIN + 2 * vectors(-(-self.columns // 2)))
        self.whole = like.new_zeros(grids, self.rows + 2 * MARGIN, row)
        self.signal = self.whole[:, MARGIN : MARGIN + self.rows, MARGIN : MARGIN + self.columns]

    @property
    def row(self) -> int:
        """Numbers a row."""
        return self.whole.shape[2]

    def address(self, grid: int, place: int) -> int:
        """Of row and column ``place`` of the frame of a grid."""
        number = grid * self.whole.stride(0) + place * (self.row + 1)
        return self.whole.data_ptr() + number * self.whole.element_size()

    def repeat_edges(self) -> None:
        """Fill the margin from the signal's edges."""
        bottom, right = MARGIN + self.rows, MARGIN + self.columns
        inside = self.whole[:, MARGIN:bottom]
        inside[:, :, :MARGIN] = inside[:, :, MARGIN : MARGIN + 1]
        inside[:, :, right : right + MARGIN] = inside[:, :, right - 1 : right]
        self.whole[:, :MARGIN] = self.whole[:, MARGIN : MARGIN + 1]
        self.whole[:, bottom:] = self.whole[:, bottom - 1 : bottom]

    def fold_edges(self) -> None:
        """Add what the margin holds to the edges that it repeats, and clear it."""
        bottom, right = MARGIN + self.rows, MARGIN + self.columns
        for step in range(MARGIN):
            self.whole[:, MARGIN] += self.whole[:, step]
            self.whole[:, bottom - 1] += self.whole[:, bottom + step]
            self.whole[:, :, MARGIN] += self.whole[:, :, step]
            self.whole[:, :, right - 1] += self.whole[:, :, right + step]
        self.whole[:, :MARGIN] = self.whole[:, bottom:] = 0
        self.whole[:, :, :MARGIN] = self.whole[:, :, right:] = 0


def _double(weight: Tensor, frame: _Frame, finer: _Frame) -> None:
    """All grids of a frame, into the last ones of the finer frame."""
    joins = len(finer.whole) - len(frame.whole)
    words = [
        {"values": frame.address(grid, 0), "result": finer.address(grid + joins, MARGIN)}
        for grid in range(len(frame.whole))
    ]
    _run("forward", frame.rows, weight, frame, words, result_row=finer.row)


def _back(weight: Tensor, frame: _Frame, given: _Frame) -> tuple[_Frame, Tensor]:
    """Gradients in the grids of a frame, as a frame with a clear margin, and in the taps."""
    grids = len(frame.whole)
    joins = len(given.whole) - grids
    lines = weight.new_zeros(grids, 2 * (frame.rows + LINES_MARGIN), frame.row)
    found = _Frame(grids, (frame.rows, frame.columns), weight)
    words = []
    for grid in range(grids):
        first = (grid * lines.stride(0) + LINES_MARGIN * frame.row) * lines.element_size()
        words.append(
            {
                "values": frame.address(grid, 0),
                "given": given.address(grid + joins, MARGIN),
                "lines": lines.data_ptr() + first,
                "of_values": found.address(grid, 0),
            }
        )
    sums = _run("of_lines", frame.rows, weight, frame, words, result_row=given.row)
    sums += _run("of_values", frame.rows + 2 * MARGIN, weight, frame, words)
    found.fold_edges()
    return found, sums


def _run(
    name: str, rows: int, weight: Tensor, frame: _Frame, planes: Sequence[Words], result_row: int = 0
) -> Tensor:
    """Run a kernel on rows of all grids; returns the sums of the taps' gradients."""
    shared = {
        "rows": frame.rows,
        "columns": frame.columns,
        "values_row": frame.row,
        "result_row": result_row,
        "lines_row": frame.row,
        "weight": weight.data_ptr(),
    }
    line = weight.element_size() * doubling_kernels.scratch_numbers(frame.columns, frame.precision.lanes)
    return over_rows(
        load(doubling_kernels, "the interpolation of latents", frame.precision)[name],
        doubling_kernels.Kernel,
        shared,
        weight,
        rows=rows,
        chunk_rows=_CHUNK_ROWS,
        sums=TAPS,
        memory={"line": line, "even": line, "odd": line, "sums": TAPS * VECTOR_BYTES},
        most_threads=1 + rows * frame.columns * len(planes) // _THREAD_VALUES,
        planes=planes,
    )
