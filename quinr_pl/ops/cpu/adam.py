"""A step of Adam on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.elements import ROW
from quinr_pl.native.rows import Plane, RowKernels
from quinr_pl.ops.kernels import adam as emitter

_KERNELS = RowKernels(emitter, "Adam on latents", thread_numbers=400_000, least_rows=256, most_chunks=32)


def adam_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    size: Tensor,
    shares: tuple[float, float],
    eps: float,
) -> None:
    """See quinr_pl.ops.adam.Kernels."""
    settings = torch.cat([size.new_tensor([*shares, eps]), size[None]])
    together = zip(parameters, gradients, first, second, strict=True)
    planes = []
    for parameter, *others in together:
        names = ("parameter", "gradient", "first", "second")
        words = {name: one.data_ptr() for name, one in zip(names, (parameter, *others), strict=True)}
        if not parameter.numel():
            continue
        planes.append(Plane(-(-parameter.numel() // ROW), {"count": parameter.numel(), **words}))
    numbers = sum(parameter.numel() for parameter in parameters)
    _KERNELS.run_planes("step", settings, {"settings": settings.data_ptr()}, planes, numbers, sums=0)
