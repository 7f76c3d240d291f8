"""The grid of coordinates that a signal lives on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def coordinates(shape: Sequence[int], start: int = 0, stop: int | None = None) -> Tensor:
    """Coordinates of the pixels ``start`` to ``stop`` in row-major order.

    Every axis runs over [-1, 1], first and last pixel included; an axis of one pixel lies at 0.

    Args:
        shape: Size of each axis of the grid.
        start: First pixel, in row-major order.
        stop: One past the last pixel; all when left out.

    Returns:
        float32 tensor of shape (stop - start, axes): of an image the row coordinate, then the column
        coordinate. A slice has exactly the values that the whole grid has there.
    """
    first, *others = shape
    index = torch.arange(start, math.prod(shape) if stop is None else stop)
    columns = []
    for size in reversed(others):
        columns.append(_along(index % size, size))
        index = index // size
    return torch.stack([_along(index, first), *reversed(columns)], dim=1)


def _along(index: Tensor, size: int) -> Tensor:
    """Coordinates of indices on an axis: (pixels,) -> (pixels,)."""
    return (2.0 * index.double() / max(size - 1, 1) - (1.0 if size > 1 else 0.0)).float()
