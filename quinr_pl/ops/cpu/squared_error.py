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
    mean = _run("forward", given, sums=1)[0] / count

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        gradient = torch.empty_like(given["values"])
        factor = (2 / count * cotangent).reshape(1)
        _run("backward", {**given, "factor": factor, "gradient": gradient})
        return [gradient]

    return mean, gradients


def _run(name: str, tensors: dict[str, Tensor], sums: int = 0) -> Tensor:
    like = tensors["values"]
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    size = (-(-like.numel() // ROW), ROW)
    return _KERNELS.run(name, like, {"count": like.numel(), **addresses}, size=size, sums=sums)
