"""Angles as sines of linear functions for CUDA; see sines.cu."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_double, c_int, c_longlong, c_void_p

import torch
from torch import Tensor

from quinr_pl.native.cuda_code import Kernel
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.ops.cuda.programs import MOST_BLOCKS, THREADS, blocks_of, dense, kernel, lines_fit
from quinr_pl.ops.cuda.sums import summed


class _Batch(Structure):
    """As in sines.cu."""

    _fields_ = (
        ("inputs", c_void_p),
        ("row", c_longlong),
        ("column", c_longlong),
        ("count", c_int),
        ("frequency", c_double),
        ("scale", c_double),
    )


def fits(weight: Tensor) -> bool:
    """Whether a block's shared memory holds what its threads find."""
    angles, inputs = weight.shape
    return lines_fit(weight, inputs + 1 + angles, angles * (inputs + 1))


def sines(
    keep: bool, inputs: Tensor, weight: Tensor, bias: Tensor, *, frequency: float, scale: float
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.sines.sines and Operation.run."""
    check_readable("sines", inputs, weight, bias, device=weight.device.type)
    angles, features = weight.shape
    check_shapes("sines", [inputs, bias], [(len(inputs), features), (angles,)])
    weight, bias, inputs = weight.contiguous(), bias.contiguous(), dense(inputs)
    batch = _Batch(inputs.data_ptr(), *inputs.stride(), len(inputs), frequency, scale)
    result = inputs.new_empty(len(inputs), angles)
    _kernel("sines", weight)(blocks_of(len(inputs)), THREADS, batch, weight, bias, result)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor | None]:
        blocks = max(1, min(MOST_BLOCKS, blocks_of(len(inputs))))
        sums = weight.new_empty(blocks, weight.numel() + bias.numel())
        of_inputs = torch.empty_like(inputs) if needed[0] else None
        run = _kernel("of_sines", weight)
        run(blocks, THREADS, batch, weight, bias, cotangent.contiguous(), of_inputs, sums)
        of_weight, of_bias = summed(sums).split([weight.numel(), bias.numel()])
        return [of_inputs, of_weight.view_as(weight), of_bias]

    return result, gradients


def _kernel(name: str, weight: Tensor) -> Kernel:
    angles, inputs = weight.shape
    return kernel(name, "sines", weight, {"INPUTS": inputs, "ANGLES": angles})
