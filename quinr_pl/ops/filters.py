"""Small residual convolutions after the synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from quinr_pl.native.machine_code import load
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import CpuOperation, Gradients
from quinr_pl.native.precision import VECTOR_BYTES, Precision
from quinr_pl.native.rows import over_rows
from quinr_pl.ops.kernels import filters as filter_kernels

_MARGIN = 2
"""Rows and columns around a signal in its frame."""
_CHUNKS = 16
_CHUNK_ROWS = 8
_THREAD_VALUES = 250_000
"""About 1 ms of work. Waking a thread takes 0.1 to 0.4 ms."""


def filtered(values: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Values plus a 3 x 3 convolution of them, one convolution after the other; edges are repeated.

    Args:
        values: (channels, rows, columns).
        parameters: Weight (channels, channels, 3, 3) and bias (channels,) of each convolution in turn.

    Returns:
        (channels, rows, columns).
    """
    return _Filters()(values, *parameters) if parameters else values


def with_edges(values: Tensor) -> Tensor:
    """(1, channels, rows, columns) with one row and column more all around, which repeat the edges."""
    return nn.functional.pad(values, (1, 1, 1, 1), mode="replicate")


@dataclass(frozen=True)
class _Filters(CpuOperation):
    """Residual convolutions of values with weights and biases in turn, one convolution after the other."""

    def in_torch(self, values: Tensor, *parameters: Tensor) -> Tensor:
        values = values[None]
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            framed = with_edges(values).contiguous(memory_format=torch.channels_last)
            values = values + nn.functional.conv2d(framed, weight, bias)
        return values[0]

    def run(self, keep: bool, values: Tensor, *parameters: Tensor) -> tuple[Tensor, Gradients]:
        check_readable("residual filters", values, *parameters)
        channels = len(values)
        shapes = [(channels, channels, 3, 3), (channels,)] * (len(parameters) // 2)
        check_shapes("residual filters", parameters, shapes)
        frames = _Frames(values)
        framed = [frames.empty()]
        frames.signal(framed[0]).copy_(values)
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            frames.repeat_edges(framed[-1])
            framed.append(frames.empty())
            frames.forward(weight, bias, framed[-2], framed[-1])
        gradients = partial(_gradients, frames, framed[:-1] if keep else [], parameters)
        return frames.signal(framed[-1]).clone(), gradients


def _gradients(
    frames: _Frames,
    framed: list[Tensor],
    parameters: Sequence[Tensor],
    cotangent: Tensor,
    needed: Sequence[bool],
) -> list[Tensor]:
    """Gradients in the values and in the parameters, from the frame that each convolution was given."""
    found: list[Tensor] = []
    given = frames.empty()
    frames.signal(given).copy_(cotangent)
    for index in reversed(range(len(framed))):
        weight = parameters[2 * index]
        of_values, of_weight, of_bias = frames.backward(weight, framed[index], given)
        frames.signal(given).add_(of_values)
        found = [of_weight, of_bias, *found]
    return [frames.signal(given).clone(), *found]


class _Frames:
    """Planes of values with a margin, of one size."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.channels, self.rows, self.columns = like.shape
        self.precision = Precision.of(like)
        lanes = self.precision.lanes
        # Vectors begin at column 0 of the signal, or in the gradient of the frame at column -1.
        self.row = 2 * _MARGIN + lanes * -(-(self.columns + 2) // lanes)
        self.height = self.rows + 2 * _MARGIN

    def empty(self) -> Tensor:
        """A frame of zeros, (channels, rows + 4, numbers a row)."""
        return self.like.new_zeros(self.channels, self.height, self.row)

    def signal(self, framed: Tensor) -> Tensor:
        """The part of a frame that holds the signal, (channels, rows, columns)."""
        return framed[:, _MARGIN : _MARGIN + self.rows, _MARGIN : _MARGIN + self.columns]

    def repeat_edges(self, framed: Tensor) -> None:
        """Fill the inner ring of the margin from the signal's edges."""
        top, left = _MARGIN, _MARGIN
        bottom, right = top + self.rows, left + self.columns
        framed[:, top:bottom, left - 1] = framed[:, top:bottom, left]
        framed[:, top:bottom, right] = framed[:, top:bottom, right - 1]
        framed[:, top - 1] = framed[:, top]
        framed[:, bottom] = framed[:, bottom - 1]

    def forward(self, weight: Tensor, bias: Tensor, values: Tensor, result: Tensor) -> None:
        """One filter: values with repeated edges to a frame; what is beyond its columns is undefined."""
        words = {"values": self._address(values, 0), "result": self._address(result, 0)}
        self._run("forward", self.rows, weight, bias, **words)

    def backward(self, weight: Tensor, values: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients in the values that were convolved, (channels, rows, columns), in weight and in bias."""
        framed = self.empty()
        words = {
            "values": self._address(values, 0),
            "cotangent": self._address(cotangent, 0),
            "of_values": self._address(framed, -1),
        }
        sums = self._run("backward", self.rows + 2, weight, None, **words)
        top, left = _MARGIN - 1, _MARGIN - 1
        bottom, right = top + 1 + self.rows, left + 1 + self.columns
        # What the repeated edges got belongs to the values that they repeat.
        framed[:, top + 1] += framed[:, top]
        framed[:, bottom - 1] += framed[:, bottom]
        framed[:, :, left + 1] += framed[:, :, left]
        framed[:, :, right - 1] += framed[:, :, right]
        of_weight, of_bias = sums.split([weight.numel(), self.channels])
        return self.signal(framed), of_weight.view_as(weight), of_bias

    def _address(self, framed: Tensor, place: int) -> int:
        offset = (_MARGIN + place) * (self.row + 1)
        return framed.data_ptr() + offset * framed.element_size()

    def _run(self, name: str, rows: int, weight: Tensor, bias: Tensor | None, **words: int) -> Tensor:
        count = weight.numel() + self.channels
        # The kernels read memory by its address.
        weight, bias = weight.contiguous(), weight if bias is None else bias.contiguous()
        shared = {
            "columns": self.columns,
            "rows": self.rows,
            "channels": self.channels,
            "row": self.row,
            "plane": self.height * self.row,
            "weight": weight.data_ptr(),
            "bias": bias.data_ptr(),
            **words,
        }
        return over_rows(
            load(filter_kernels, "the filters of latent fits", self.precision)[name],
            filter_kernels.Kernel,
            shared,
            self.like,
            rows=rows,
            chunk_rows=max(_CHUNK_ROWS, -(-rows // _CHUNKS)),
            sums=count,
            memory={"sums": count * VECTOR_BYTES},
            most_threads=1 + self.like.numel() // _THREAD_VALUES,
        )
