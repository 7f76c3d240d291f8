"""A step of Adam on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.native.elements import ROW
from quinr_pl.native.memory import check_readable, check_shapes
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
    """Move dense parameters and their moments.

    Args:
        parameters: In one block of memory each, in row-major order.
        gradients: Of the same shapes.
        first: First moments, laid out as the parameters are.
        second: Second moments, likewise.
        size: What the update is multiplied by, 0-dimensional and of the parameters' dtype.
        shares: Of what is new in the first and the second moments.
        eps: What keeps the division finite.
    """
    settings = torch.cat([size.new_tensor([*shares, eps]), size[None]])
    gradients = [gradient.contiguous() for gradient in gradients]
    together = zip(parameters, gradients, first, second, strict=True)
    planes = []
    for parameter, *others in together:
        check_readable("Adam", parameter, *others, settings)
        check_shapes("Adam", others, [tuple(parameter.shape)] * 3)
        names = ("parameter", "gradient", "first", "second")
        words = {name: one.data_ptr() for name, one in zip(names, (parameter, *others), strict=True)}
        if not parameter.numel():
            continue
        planes.append(Plane(-(-parameter.numel() // ROW), {"count": parameter.numel(), **words}))
    numbers = sum(parameter.numel() for parameter in parameters)
    _KERNELS.run_planes("step", settings, {"settings": settings.data_ptr()}, planes, numbers, sums=0)
    for moved in (*parameters, *first, *second):
        torch.autograd.graph.increment_version(moved)  # as operations in place do: graphs notice
