"""Residual convolutions for CUDA; see filters.cu."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from quinr_pl.native.cuda_code import Kernel
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import MOST_BLOCKS, THREADS, TILE, Constants, blocks_of, ints, kernel
from quinr_pl.ops.cuda.sums import summed


def filtered(keep: bool, values: Tensor, *parameters: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.filters.filtered and Operation.run."""
    check_readable("residual filters", values, *parameters, device=values.device.type)
    channels, rows, columns = values.shape
    shapes = [(channels, channels, 3, 3), (channels,)] * (len(parameters) // 2)
    check_shapes("residual filters", parameters, shapes)
    parameters = tuple(parameter.contiguous() for parameter in parameters)
    given = [values.contiguous()]
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        given.append(values.new_empty(values.shape))
        run = _kernel("convolve", values)
        run(blocks_of(rows * columns), THREADS, given[-2], weight, bias, given[-1], *ints(rows, columns))
    return given[-1], partial(_gradients, given[:-1] if keep else [], parameters[::2])


def _gradients(
    values: Sequence[Tensor], weights: Sequence[Tensor], cotangent: Tensor, needed: Sequence[bool]
) -> list[Tensor]:
    """Gradients in the values and in the parameters, from what each convolution was given."""
    found: list[Tensor] = []
    given = cotangent.contiguous()
    channels, rows, columns = given.shape
    tiles = blocks_of(rows, TILE[0]) * blocks_of(columns, TILE[1])
    blocks = min(tiles, MOST_BLOCKS)
    for seen, weight in zip(reversed(values), reversed(weights), strict=True):
        of_values = given.new_empty(given.shape)
        sums = given.new_empty(blocks, weight.numel() + channels)
        run = _kernel("of_convolved", given)
        run(blocks, TILE[0] * TILE[1], seen, weight, given, of_values, sums, *ints(rows, columns))
        of_weight, of_bias = summed(sums).split([weight.numel(), channels])
        found = [of_weight.view(weight.shape), of_bias, *found]
        given = of_values
    return [given, *found]


def _kernel(name: str, values: Tensor) -> Kernel:
    rows, columns = TILE
    constants: Constants = {"CHANNELS": len(values), "TILE_ROWS": rows, "TILE_COLUMNS": columns}
    return kernel(name, "filters", values, constants)
