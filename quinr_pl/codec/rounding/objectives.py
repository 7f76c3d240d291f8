"""What weights of a network are judged by: the error of the signal, or the bits of its latents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec.arrays import Floats
from quinr_pl.codec.rounding.curvature import forward_differences
from quinr_pl.codec.rounding.flattening import unflattened
from quinr_pl.network import Network
from quinr_pl.ops.squared_error import squared_error
from quinr_pl.ops.window import Window
from quinr_pl.signals import SignalSpec

_MOST_PIXELS, _BANDS = 1 << 19, 8  # of a larger signal, what so many bands show: trials add up
_SAMPLE = 1 << 15  # pixels that the curvature is averaged over
_JACOBIAN = 1 << 26  # elements
_MIDDLE = 1 << 17  # latents
_DIFFERENCE = 1e-2
_LEAST_EIGENVALUE = 1e-4  # of the largest


class Objective(ABC):
    """A function of some weights of a network, all others being as they are.

    Args:
        network: On the CPU, to be written to.
        names: Of the weights.

    Attributes:
        of_bits: Whether it counts bits; if not, it is in units of the mean squared error.
    """

    of_bits: ClassVar[bool]

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        self._network = network
        self._weights = {name: network.weights()[name].requires_grad_() for name in names}

    @torch.no_grad()
    def put(self, weights: Floats) -> None:
        """Give the network some weights, (n,), in the order of the names."""
        for name, part in unflattened(weights, self._weights).items():
            self._weights[name].copy_(torch.from_numpy(part))

    def gradient(self) -> Floats:
        """Slope in the weights, (n,), where the network has them now."""
        with torch.enable_grad():
            return self._gradient(self._differentiable())

    def _gradient(self, value: Tensor) -> Floats:
        parts = torch.autograd.grad(value, list(self._weights.values()), materialize_grads=True)
        return torch.cat([part.flatten() for part in parts]).double().numpy()

    @abstractmethod
    def value(self) -> float:
        """Its value where the network's weights are now."""

    @abstractmethod
    def curvature(self) -> Floats:
        """A positive semidefinite H for which changes d of the weights add about d' H d, (n, n)."""

    @abstractmethod
    def _differentiable(self) -> Tensor:
        """The value as a scalar."""


class SignalError(Objective):
    """Mean squared error of what is decoded, before rounding to integers; on bands of a large signal.

    Args:
        network: On the CPU, to be written to.
        names: Of the weights.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
    """

    of_bits = False

    def __init__(self, network: Network, names: Sequence[str], spec: SignalSpec, targets: Tensor) -> None:
        super().__init__(network, names)
        self._spec, self._targets = spec, targets

    @torch.no_grad()
    def value(self) -> float:
        """See Objective."""
        return float(self._differentiable())

    @torch.no_grad()
    def curvature(self) -> Floats:
        """The Gauss-Newton matrix over fewer pixels; see Objective."""
        count = sum(weight.numel() for weight in self._weights.values())
        bands = self._bands
        pixels = sum(stop - start for start, stop in bands)
        most = min(_SAMPLE, _JACOBIAN * len(bands) // (count * self._spec.channels))
        apart = -(-pixels // max(1, most)) | 1  # odd: in one row after another at another phase of the grids
        total, values = np.zeros((count, count)), 0
        for start, stop in bands:
            jacobian = self._jacobian(start, stop, slice(None, None, apart))
            total += (jacobian @ jacobian.T).double().numpy()
            values += jacobian.shape[1]
        return total / values

    def _jacobian(self, start: int, stop: int, shown: slice) -> Tensor:
        """Derivatives of the errors of a band's pixels, (weights, values)."""
        known = ~self._targets[start:stop][shown].isnan()

        def errors() -> Tensor:
            values = self._network.signal(start, stop, self._spec.shape)[shown]
            return torch.where(known, values.clamp(0, 1), 0.0)

        base, periods = errors(), self._network.parameter_periods()
        rows = [
            forward_differences(errors, weight, periods.get(name), base)
            for name, weight in self._weights.items()
        ]
        return torch.cat(rows)

    def _differentiable(self) -> Tensor:
        squared = []
        for start, stop in self._bands:
            shown, targets = self._network.signal(start, stop, self._spec.shape), self._targets[start:stop]
            squared.append(len(targets) * squared_error(shown.clamp(0, 1), targets))
        return torch.stack(squared).sum() / sum(stop - start for start, stop in self._bands)

    @cached_property
    def _bands(self) -> list[tuple[int, int]]:
        """First pixel of each band of whole rows, and the one past its last."""
        pixels, row = self._spec.pixels, self._spec.shape[-1]
        if pixels <= _MOST_PIXELS:
            return [(0, pixels)]
        size = row * max(1, _MOST_PIXELS // _BANDS // row)
        rows = pixels // row
        firsts = (row * ((2 * number + 1) * rows // (2 * _BANDS)) for number in range(_BANDS))
        return [(first, min(first + size, pixels)) for first in firsts]


class LatentBits(Objective):
    """Bits of the latents by the network's own estimate, as weights of the context model change them."""

    of_bits = True

    def value(self) -> float:
        """See Objective."""
        return float(self._differentiable().detach())

    def curvature(self) -> Floats:
        """Half of the second derivatives, by differences of gradients in the middle of the grids.

        What negative eigenvalues they have become positive ones: a sample's minimum is elsewhere.
        """
        grids = [grid.detach().round() for grid in self._network.integers().values()]
        middle = _middle(grids)
        model = self._network.context_model()
        assert model is not None, "latents are there"

        def slope() -> Floats:
            with torch.enable_grad():
                return self._gradient(model(middle).sum())

        base, rows = slope(), []
        with torch.no_grad():
            for weight in self._weights.values():
                flat = weight.view(-1)
                for index, value in enumerate(flat.tolist()):
                    flat[index] = value + _DIFFERENCE
                    rows.append((slope() - base) / (float(flat[index]) - value))
                    flat[index] = value
        differences = np.stack(rows)
        share = sum(grid.numel() for grid in middle) / sum(grid.numel() for grid in grids)
        return positive((differences + differences.T) / (4 * share))

    def _differentiable(self) -> Tensor:
        return self._network.integer_bits()


def objective_of(network: Network, names: Sequence[str], spec: SignalSpec, targets: Tensor) -> Objective:
    """What some weights, of layers that decoders run in integers or of others, are judged by.

    A layer that decoders run in integers changes only the bits of latents, every other one only the error.

    Args:
        network: On the CPU, to be written to; its parameters need no gradients.
        names: Of the weights.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
    """
    if names[0].rpartition(".")[0] in network.fixed_point_layers:
        return LatentBits(network, names)
    return SignalError(network, names, spec, targets)


def _middle(grids: Sequence[Tensor]) -> list[Tensor]:
    """Parts of some grids that lie above each other, in the middle, of about _MIDDLE latents in all."""
    octaves = len(grids) - 1
    rows, columns = grids[-1].shape
    height, width = rows, columns
    while (height * width << 2 * octaves) > _MIDDLE and height * width > 1:
        height, width = ((height + 1) // 2, width) if height >= width else (height, (width + 1) // 2)
    top, left = (rows - height) // 2, (columns - width) // 2
    coarsest = Window(top, top + height, left, left + width)
    shapes = [(grid.shape[0], grid.shape[1]) for grid in grids]
    return [
        coarsest.finer(octaves - index, shape).of(grid).contiguous()
        for index, (grid, shape) in enumerate(zip(grids, shapes, strict=True))
    ]


def positive(matrix: Floats) -> Floats:
    """A symmetric matrix with the magnitudes of its eigenvalues, those near zero a little more, (n, n)."""
    # By torch: threads of NumPy's library, which nobody here can set, would change the last digits.
    values, vectors = torch.linalg.eigh(torch.from_numpy(matrix))
    values = values.abs()
    values = values.clamp_min(_LEAST_EIGENVALUE * float(values.max()))
    result: Floats = (vectors * values @ vectors.T).numpy()
    return result
