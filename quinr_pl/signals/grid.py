"""The grid of coordinates that a signal lives on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor


def coordinates(shape: Sequence[int], start: int = 0, stop: int | None = None) -> Tensor:
    """Coordinates of the pixels ``start`` to ``stop`` as a tensor; see :func:`coordinate_values`."""
    import torch  # takes longer than the decoding of most files, which does without

    return torch.from_numpy(coordinate_values(shape, start, stop))


def coordinate_values(
    shape: Sequence[int], start: int = 0, stop: int | None = None
) -> npt.NDArray[np.float32]:
    """Coordinates of the pixels ``start`` to ``stop`` in row-major order.

    Every axis runs over [-1, 1], first and last pixel included; an axis of one pixel lies at 0.

    Args:
        shape: Size of each axis of the grid.
        start: First pixel, in row-major order.
        stop: One past the last pixel; all when left out.

    Returns:
        float32 array of shape (stop - start, axes): of an image the row coordinate, then the column
        coordinate. A slice has exactly the values that the whole grid has there.
    """
    first, *others = shape
    index = np.arange(start, math.prod(shape) if stop is None else stop)
    columns = []
    for size in reversed(others):
        columns.append(_along(index % size, size))
        index = index // size
    return np.stack([_along(index, first), *reversed(columns)], axis=1)


def _along(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float32]:
    """Coordinates of indices on an axis: (pixels,) -> (pixels,)."""
    return (2.0 * index / max(size - 1, 1) - (1.0 if size > 1 else 0.0)).astype(np.float32)
