"""Levels and steps: what a file holds of a network's weights, and what a decoder makes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.coding.latents import FRACTION_BITS
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.network.decoders.protocol import Floats, NetworkFormat

if TYPE_CHECKING:
    from torch import Tensor

    from quinr_pl.network import Network

AnyNetwork = TypeVar("AnyNetwork", bound=NetworkFormat)

STEPS_PER_OCTAVE = 8
_UNIT_CODE = 192
FIXED_POINT_CODES = (_UNIT_CODE - STEPS_PER_OCTAVE * FRACTION_BITS, _UNIT_CODE)
"""Step sizes of layers that the decoder runs in integers: powers of two from 2**-FRACTION_BITS to 1."""
_FRACTIONS = tuple(float(np.float32(2.0 ** (k / STEPS_PER_OCTAVE))) for k in range(STEPS_PER_OCTAVE))


def step_size(code: int) -> float:
    """Step size of a code from 1 to 255: 2**((code - 192) / 8), the fractional power rounded to float32."""
    octave, fraction = divmod(code - _UNIT_CODE, STEPS_PER_OCTAVE)
    return _FRACTIONS[fraction] * 2.0**octave


STEP_SIZES: npt.NDArray[np.float64] = np.array([0.0] + [step_size(code) for code in range(1, 256)])


def nearest_code(step: float) -> int:
    """Code of the step size nearest on a logarithmic scale."""
    return int(np.clip(round(_UNIT_CODE + STEPS_PER_OCTAVE * math.log2(step)), 1, 255))


def smallest_code(step: float) -> int:
    """Code of the smallest step size that is not below ``step``."""
    return int(np.clip(np.searchsorted(STEP_SIZES, step), 1, 255))


def fixed_point_code(code: int) -> int:
    """Code of the smallest power of two that is not below a step size, within FIXED_POINT_CODES."""
    finest, coarsest = FIXED_POINT_CODES
    return int(np.clip(-(-code // STEPS_PER_OCTAVE) * STEPS_PER_OCTAVE, finest, coarsest))


def least_code(tensors: Iterable[Tensor]) -> int:
    """Code of the smallest step size with which no level is above LARGEST_LEVEL."""
    return smallest_code(max(float(tensor.abs().max()) for tensor in tensors) / LARGEST_LEVEL)


def rows_of(shape: tuple[int, ...]) -> int:
    """Rows of a tensor, each with a step size of its own: weights into one unit or rotations of one layer.

    A vector is a single row.
    """
    return math.prod(shape[:-1])


@dataclass(frozen=True)
class QuantizedTensor:
    """Integer levels and the steps between them.

    Args:
        levels: Integers of the parameter's shape.
        codes: Step size code of each row, 1 to 255; see ``rows_of``.
    """

    levels: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]

    @classmethod
    def of_one_step(cls, levels: npt.NDArray[np.int64], code: int) -> QuantizedTensor:
        """With the same step size for all rows."""
        return cls(levels, np.full(rows_of(levels.shape), code))

    @property
    def steps(self) -> npt.NDArray[np.float64]:
        """Step sizes, of a shape that multiplies the levels."""
        steps: npt.NDArray[np.float64] = STEP_SIZES[self.codes].reshape(*self.levels.shape[:-1], 1)
        return steps

    def values(self) -> Floats:
        """Level times step size, float32: the product of two exact numbers, rounded once."""
        return (self.levels * self.steps).astype(np.float32)

    def dequantize(self) -> Tensor:
        """``values`` as a tensor."""
        import torch  # decoding does without

        return torch.from_numpy(self.values())


def level_differences(
    tensors: Mapping[str, QuantizedTensor], before: Mapping[str, QuantizedTensor]
) -> npt.NDArray[np.int64]:
    """How far the levels of some tensors are from those of another frame's, as one array."""
    return np.concatenate([(tensor.levels - before[name].levels).ravel() for name, tensor in tensors.items()])


@dataclass(frozen=True)
class QuantizedNetwork(Generic[AnyNetwork]):
    """What a file holds of a network.

    Args:
        network: Its architecture; the weights are not those of the file.
        tensors: Quantized weights by name, in the network's order.
        integers: Integers by name, in the network's order: latents; empty for networks without.
    """

    network: AnyNetwork
    tensors: dict[str, QuantizedTensor]
    integers: Mapping[str, npt.NDArray[np.signedinteger]] = field(default_factory=dict)

    def values(self) -> dict[str, Floats]:
        """Parameters by name as the decoder sees them, weights and integers."""
        weights = {name: tensor.values() for name, tensor in self.tensors.items()}
        return weights | {name: integers.astype(np.float32) for name, integers in self.integers.items()}

    def dequantize(self) -> dict[str, Tensor]:
        """Weights by name as the decoder sees them, as tensors."""
        return {name: tensor.dequantize() for name, tensor in self.tensors.items()}

    def without_integers(self) -> QuantizedNetwork[AnyNetwork]:
        """The same with integers that are all zero."""
        zeros = {name: np.zeros_like(integers) for name, integers in self.integers.items()}
        return replace(self, integers=zeros)

    def load_into(self, network: Network) -> None:
        """Give a network of the same architecture the decoder's weights and integers."""
        import torch

        values = self.values()
        with torch.no_grad():
            for name, parameter in (network.weights() | network.integers()).items():
                parameter.copy_(torch.from_numpy(values[name]))
