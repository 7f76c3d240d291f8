"""Residual convolutions on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from quinr_pl.native.memory import AnyArray, address, check_readable, check_shapes, contiguous, strides
from quinr_pl.native.rows import RowKernels
from quinr_pl.ops.cpu.framed import Framed
from quinr_pl.ops.kernels import filters as emitter

if TYPE_CHECKING:
    from torch import Tensor

    from quinr_pl.native.operation import Gradients

_MARGIN = 2
"""The gradient of the values with their edges looks two rows and columns beyond the signal."""
_REPEATED = 1
"""A convolution looks one row and column beyond it."""
_KERNELS = RowKernels(
    emitter, "the filters of latent fits", thread_numbers=250_000, least_rows=8, most_chunks=16
)


def filtered(keep: bool, values: AnyArray, *parameters: AnyArray) -> tuple[AnyArray, Gradients]:
    """See quinr_pl.ops.filters.filtered and Operation.run."""
    check_readable("residual filters", values, *parameters)
    channels = len(values)
    shapes = [(channels, channels, 3, 3), (channels,)] * (len(parameters) // 2)
    check_shapes("residual filters", parameters, shapes)
    # The kernels read memory by its address.
    parameters = tuple(contiguous(parameter) for parameter in parameters)
    frames = [Framed.around(values, _MARGIN)]
    for index, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2], strict=True), 1):
        frames[-1].repeat_edges(_REPEATED)
        margin = _MARGIN if 2 * index < len(parameters) else 0
        frames.append(_convolved(frames[-1], weight, bias, margin))
    kept: Any = frames[:-1] if keep else []
    weights: Any = parameters[::2]  # tensors, where gradients are asked for
    return frames[-1].taken(), partial(_gradients, kept, weights)


def _gradients(
    frames: list[Framed[Tensor]], weights: Sequence[Tensor], cotangent: Tensor, needed: Sequence[bool]
) -> list[Tensor]:
    """Gradients in the values and in the parameters, from the frame that each convolution was given."""
    found: list[Tensor] = []
    given = Framed.around(cotangent, _MARGIN)
    for frame, weight in zip(reversed(frames), reversed(weights), strict=True):
        given, of_weight, of_bias = _back(frame, weight, given)
        found = [of_weight, of_bias, *found]
    return [given.taken(), *found]


def _convolved(frame: Framed[AnyArray], weight: AnyArray, bias: AnyArray, margin: int) -> Framed[AnyArray]:
    """Values plus their convolution; what lies around them in the frame is undefined."""
    result = Framed(len(frame.whole), (frame.rows, frame.columns), margin, frame.whole)
    addresses = {
        "bias": address(bias),
        "result": result.address(0, 0, 0),
        "result_row": result.row,
        "result_plane": strides(result.whole)[0],
    }
    _run("forward", frame, weight, addresses, frame.rows)
    return result


def _back(
    frame: Framed[Tensor], weight: Tensor, given: Framed[Tensor]
) -> tuple[Framed[Tensor], Tensor, Tensor]:
    """Gradients in the values that were convolved, with a clear margin, in weight and in bias."""
    found = Framed(len(frame.whole), (frame.rows, frame.columns), _MARGIN, frame.whole, clear=False)
    addresses = {
        "cotangent": given.address(0, 0, 0),
        "of_values": found.address(0, -_REPEATED, -_REPEATED),
    }
    sums = _run("backward", frame, weight, addresses, frame.rows + 2 * _REPEATED)
    found.fold_edges(_REPEATED)
    of_weight, of_bias = sums.split([weight.numel(), len(weight)])
    return found, of_weight.view_as(weight), of_bias


def _run(
    name: str, frame: Framed[AnyArray], weight: AnyArray, addresses: dict[str, int], rows: int
) -> AnyArray:
    channels = len(weight)
    shared = {
        "columns": frame.columns,
        "rows": frame.rows,
        "channels": channels,
        "row": frame.row,
        "plane": strides(frame.whole)[0],
        "weight": address(weight),
        "values": frame.address(0, 0, 0),
        **addresses,
    }
    size = (rows, channels * frame.columns)
    return _KERNELS.run(name, weight, shared, size=size, sums=math.prod(weight.shape) + channels)
