"""From trained weights and latents to the integers nearest to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quinr_pl.codec.coding.latents import LARGEST_LATENT
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.codec.quantized import step_size
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network


def reduce_period(values: Tensor, period: Tensor | None) -> Tensor:
    """Values moved by multiples of their period into [-period / 2, period / 2]."""
    if period is None:
        return values
    wide = values.double()
    return (wide - period.double() * torch.round(wide / period.double())).to(values.dtype)


def reduced_parameters(network: Network) -> dict[str, Tensor]:
    """The network's parameters on the CPU, periodic ones in their centred interval.

    Raises:
        QuinrError: If a weight is not finite.
    """
    periods = network.parameter_periods()
    result = {}
    for name, parameter in network.weights().items():
        values = parameter.detach().cpu().float()
        if not torch.isfinite(values).all():
            raise QuinrError(f"parameter {name} is not finite: training diverged; lower the learning rate")
        period = periods.get(name)
        result[name] = reduce_period(values, None if period is None else period.cpu())
    return result


def round_to_levels(values: Tensor, code: int) -> npt.NDArray[np.int64]:
    """Nearest levels, at most LARGEST_LEVEL in magnitude."""
    levels = np.rint(values.numpy().astype(np.float64) / step_size(code))
    return np.clip(levels, -LARGEST_LEVEL, LARGEST_LEVEL).astype(np.int64)


def rounded_integers(network: Network) -> dict[str, npt.NDArray[np.int64]]:
    """Integers of a network as a file holds them, by name.

    Raises:
        QuinrError: If one is not finite.
    """
    arrays = {
        name: values.detach().cpu().round().numpy().astype(np.float64)
        for name, values in network.integers().items()
    }
    if not all(np.isfinite(values).all() for values in arrays.values()):
        raise QuinrError("latents are not finite: training diverged; lower the learning rate")
    return {
        name: np.clip(values, -LARGEST_LATENT, LARGEST_LATENT).astype(np.int64)
        for name, values in arrays.items()
    }
