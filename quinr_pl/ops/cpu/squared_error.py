"""The mean squared error on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.elements import ROW
from quinr_pl.native.memory import check_readable, check_shapes
from quinr_pl.native.operation import Gradients
from quinr_pl.native.rows import RowKernels
from quinr_pl.ops.kernels import squared_error as emitter

_KERNELS = RowKernels(
    emitter, "the error of latent fits", thread_numbers=1_000_000, least_rows=256, most_chunks=64
)


def squared_error(keep: bool, values: Tensor, *, picture: Tensor, known: Tensor) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.squared_error.squared_error and Operation.run."""
    check_readable("squared error", values, picture, known)
    check_shapes("squared error", (picture, known), [tuple(values.shape)] * 2)
    given = {"values": values.contiguous(), "picture": picture.contiguous(), "known": known.contiguous()}
    count = values.numel()
    if not keep:
        return _sum("forward", given) / count, _no_gradients
    gradient = torch.empty_like(given["values"])
    factor = gradient.new_full((1,), 1 / count)
    total = _sum("with_gradient", {**given, "factor": factor, "gradient": gradient})

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        return [gradient if cotangent == 1 else gradient * cotangent]

    return total / count, gradients


def _no_gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
    raise AssertionError("gradients were not asked for")


def _sum(name: str, tensors: dict[str, Tensor]) -> Tensor:
    like = tensors["values"]
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    size = (-(-like.numel() // ROW), ROW)
    return _KERNELS.run(name, like, {"count": like.numel(), **addresses}, size=size, sums=1)[0]
