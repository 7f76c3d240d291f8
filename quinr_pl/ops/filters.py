"""Small residual convolutions after the synthesis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quinr_pl.ops.cpu import filters as on_cpu
from quinr_pl.ops.cuda import filters as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def filtered(values: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Values plus a 3 x 3 convolution of them, one convolution after the other; edges are repeated.

    Args:
        values: (channels, rows, columns).
        parameters: Weight (channels, channels, 3, 3) and bias (channels,) of each convolution in turn.

    Returns:
        (channels, rows, columns), differentiable in values and parameters.
    """
    return _filtered(values, *parameters) if parameters else values


def with_edges(values: Tensor) -> Tensor:
    """(1, channels, rows, columns) with one row and column more all around, which repeat the edges."""
    return nn.functional.pad(values, (1, 1, 1, 1), mode="replicate")


def _in_torch(values: Tensor, *parameters: Tensor) -> Tensor:
    values = values[None]
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        framed = with_edges(values).contiguous(memory_format=torch.channels_last)
        values = values + nn.functional.conv2d(framed, weight, bias)
    return values[0]


_filtered = ByDevice(_in_torch, cpu=on_cpu.filtered, cuda=on_cuda.filtered)
