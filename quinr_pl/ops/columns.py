"""A linear function of samples that are columns."""

from __future__ import annotations

from torch import Tensor

from quinr_pl.ops.cuda import columns as on_cuda
from quinr_pl.ops.dispatch import ByDevice


def combined(weight: Tensor, columns: Tensor) -> Tensor:
    """``weight @ columns``, (outputs, inputs) and (inputs, samples) -> (outputs, samples).

    For few inputs and outputs and many samples, where libraries of matrix products have little to gain.
    """
    return _combined(weight, columns) if on_cuda.fits(weight) else _in_torch(weight, columns)


def _in_torch(weight: Tensor, columns: Tensor) -> Tensor:
    return weight @ columns


_combined = ByDevice(_in_torch, cuda=on_cuda.combined)
