"""The weights of several tensors as one vector, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor

from quinr_pl.codec.arrays import Floats


def flattened(tensors: Mapping[str, Tensor]) -> Floats:
    """All elements, tensor after tensor in the mapping's order: (weights,)."""
    return np.concatenate([tensor.numpy().astype(np.float64).ravel() for tensor in tensors.values()])


def unflattened(vector: npt.NDArray, tensors: Mapping[str, Tensor]) -> dict[str, npt.NDArray]:
    """The parts of a vector by name, each of its tensor's shape.

    Args:
        vector: All weights after one another, (weights,).
        tensors: Those whose elements the vector stands for, in its order.
    """
    bounds = np.cumsum([tensor.numel() for tensor in tensors.values()])[:-1]
    parts = np.split(vector, bounds)
    return {name: part.reshape(tensors[name].shape) for name, part in zip(tensors, parts, strict=True)}
