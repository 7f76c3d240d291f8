"""Interpolation of a pyramid of grids: by compiled kernels on the CPU, else by torch operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from quinr_pl.native.machine_code import load
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import CpuOperation, Gradients, Operation
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.rows import Words, over_rows
from quinr_pl.ops.kernels import upsampling as doubling_kernels
from quinr_pl.ops.kernels.upsampling import LINES_MARGIN, MARGIN, TAPS

Shape = tuple[int, int]

_CHUNK_ROWS = 32
_THREAD_VALUES = 500_000
"""About 1 ms of work. Waking a thread takes 0.1 to 0.4 ms."""


def interpolated(weight: Tensor, grids: Sequence[Tensor], shapes: Sequence[Shape]) -> Tensor:
    """Grids at the resolution of the finest of ``shapes``, differentiable in the taps and in the grids.

    Args:
        weight: (4,); see quinr_pl.network.latent.pyramid.Doubling.
        grids: (rows, columns) of each, from the coarsest on.
        shapes: Rows and columns of all resolutions from that of the coarsest grid on, each of half the next,
            rounded up. A grid joins at the resolution that is its own; there are at least as many.

    Returns:
        (grids, rows, columns), the finest first.
    """
    return _Interpolation(tuple((rows, columns) for rows, columns in shapes))(weight, *grids)


def joined(double: Callable[[Tensor], Tensor], grids: Sequence[Tensor], shapes: Sequence[Shape]) -> Tensor:
    """What :func:`interpolated` gives, by a doubling (grids, rows, columns) -> (grids, 2 rows, 2 columns)."""
    result = grids[0][None]  # (grids so far, rows, columns)
    for level, (rows, columns) in enumerate(shapes[1:], 1):
        result = double(result)[:, :rows, :columns]
        if level < len(grids):
            result = torch.cat([grids[level][None], result])
    return result


def doubled(values: Tensor, weight: Tensor) -> Tensor:
    """Twice the resolution along both axes, on any device; edges are repeated.

    Args:
        values: (grids, rows, columns).
        weight: (4,); see quinr_pl.network.latent.pyramid.Doubling.

    Returns:
        (grids, 2 rows, 2 columns).
    """
    framed = nn.functional.pad(values[None], (0, 0, MARGIN, MARGIN), mode="replicate")[0]
    rows = _DoubledAlong(1)(framed, weight)
    framed = nn.functional.pad(rows[None], (MARGIN, MARGIN, 0, 0), mode="replicate")[0]
    return _DoubledAlong(2)(framed, weight)


def doubled_rows(values: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """The same, cut to a shape, by a kernel on the CPU; not differentiable."""
    if weight.device.type != "cpu":
        return doubled(values, weight)[:, : shape[0], : shape[1]]
    frame, finer = _Frame(len(values), values.shape[1:], weight), _Frame(len(values), shape, weight)
    frame.signal.copy_(values)
    frame.repeat_edges()
    _double(weight.contiguous(), frame, finer)
    return finer.signal


@dataclass(frozen=True)
class _DoubledAlong(Operation):
    """Doubling of a frame along one axis: torch's own gradient would take twice as long, for its temporaries.

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


@dataclass(frozen=True)
class _Interpolation(CpuOperation):
    """Grids from the coarsest on at the resolution of the finest of ``shapes``."""

    shapes: tuple[Shape, ...]

    def in_torch(self, weight: Tensor, *grids: Tensor) -> Tensor:
        return joined(lambda values: doubled(values, weight), grids, self.shapes)

    def run(self, keep: bool, weight: Tensor, *grids: Tensor) -> tuple[Tensor, Gradients]:
        check_readable("interpolation of latents", weight, *grids)
        shapes = self.shapes[: len(grids)]
        check_shapes("interpolation of latents", (weight, *grids), [(TAPS,), *shapes])
        weight = weight.contiguous()
        frame = _Frame(1, self.shapes[0], weight)
        frame.signal[0] = grids[0]
        frames = [frame]
        for level, shape in enumerate(self.shapes[1:], 1):
            joins = int(level < len(grids))
            finer = _Frame(len(frame.signal) + joins, shape, weight)
            frame.repeat_edges()
            _double(weight, frame, finer)
            if joins:
                finer.signal[0] = grids[level]
            frame = finer
            frames.append(frame)
        gradients = partial(_gradients, weight, frames if keep else [], len(grids))
        return frame.signal.clone(memory_format=torch.contiguous_format), gradients


def _gradients(
    weight: Tensor, frames: list[_Frame], joined: int, cotangent: Tensor, needed: Sequence[bool]
) -> list[Tensor]:
    """Gradients in the taps and in the grids, of which the finest ``joined`` have a frame of their own."""
    given = _Frame(len(cotangent), cotangent.shape[1:], weight)
    given.signal.copy_(cotangent)
    of_weight = torch.zeros_like(weight)
    of_grids = []
    for level in range(len(frames) - 1, 0, -1):
        if level < joined:
            of_grids.append(given.signal[0].clone())
        given, sums = _back(weight, frames[level - 1], given)
        of_weight += sums
    of_grids.append(given.signal[0].clone())
    return [of_weight, *reversed(of_grids)]


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
