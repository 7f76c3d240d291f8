"""The mean squared error of a picture of which a share of each value is known."""

from __future__ import annotations

from torch import Tensor

from quinr_pl.ops.cpu import squared_error as on_cpu
from quinr_pl.ops.cuda import squared_error as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def squared_error(values: Tensor, picture: Tensor, known: Tensor) -> Tensor:
    """Mean over all values of ``known * (values - picture)**2``.

    Args:
        values: Of any shape.
        picture: What they should be, of the same shape.
        known: Weight of each value, of the same shape.

    Returns:
        A scalar, differentiable in the values.
    """
    return _squared_error(values, picture=picture, known=known)


def _in_torch(values: Tensor, *, picture: Tensor, known: Tensor) -> Tensor:
    return (known * (values - picture).square()).mean()


_squared_error = ByDevice(_in_torch, cpu=on_cpu.squared_error, cuda=on_cuda.squared_error)
