"""Noise and soft rounding on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.elements import ROW
from quinr_pl.native.memory import check_readable
from quinr_pl.native.operation import Gradients
from quinr_pl.native.rows import RowKernels
from quinr_pl.ops.kernels import relaxation as emitter

_KERNELS = RowKernels(
    emitter, "the relaxation of latents", thread_numbers=300_000, least_rows=128, most_chunks=64
)


def relaxed(
    keep: bool, latents: Tensor, *, key: Tensor, temperature: float, spread: float
) -> tuple[Tensor, Gradients]:
    """See quinr_pl.ops.relaxation.relaxed and Operation.run."""
    check_readable("relaxation", latents)
    given = latents.contiguous()
    result = torch.empty_like(given)
    slope = torch.empty_like(given) if keep else given
    word, stream = key.tolist()
    height = 0.5 / math.tanh(0.5 / temperature)
    settings = given.new_tensor([1 / temperature, height, spread])
    addresses = {"latents": given, "result": result, "slope": slope, "settings": settings}
    _run("with_slope" if keep else "forward", given, addresses, key=word, stream=stream)

    def gradients(cotangent: Tensor, needed: Sequence[bool]) -> list[Tensor]:
        gradient = torch.empty_like(slope)
        addresses = {"cotangent": cotangent.contiguous(), "slope": slope, "gradient": gradient}
        _run("backward", slope, addresses)
        return [gradient]

    return result, gradients


def _run(name: str, like: Tensor, tensors: dict[str, Tensor], **words: int) -> None:
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    shared = {"count": like.numel(), **words, **addresses}
    _KERNELS.run(name, like, shared, size=(-(-like.numel() // ROW), ROW), sums=0)
