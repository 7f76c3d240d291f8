"""The mean squared error of a picture of which not all values are known, or not all wholly."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from quinr_pl.ops.cpu import squared_error as on_cpu
from quinr_pl.ops.cuda import squared_error as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def squared_error(values: Tensor, picture: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean over all values of ``known * (values - picture)**2``.

    Args:
        values: Of any shape.
        picture: What they should be, of the same shape.
        known: Weight of each value, of the same shape. When left out, 0 where the picture is NaN, else 1.

    Returns:
        A scalar, differentiable in the values.
    """
    if known is None:
        return _of_known(values, picture=picture)
    return _squared_error(values, picture=picture, known=known)


def _in_torch(values: Tensor, *, picture: Tensor, known: Tensor) -> Tensor:
    return (known * (values - picture).square()).mean()


def _of_known_in_torch(values: Tensor, *, picture: Tensor) -> Tensor:
    return torch.where(picture.isnan(), 0.0, values - picture).square().mean()


_squared_error = ByDevice(_in_torch, cpu=on_cpu.squared_error, cuda=on_cuda.squared_error)
_of_known = ByDevice(_of_known_in_torch, cuda=partial(on_cuda.squared_error, known=None))
