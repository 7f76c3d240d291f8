"""Rounding of each weight to its nearest level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from quinr_pl.codec.quantized import (
    QuantizedNetwork,
    QuantizedTensor,
    fixed_point_code,
    least_code,
    nearest_code,
    smallest_code,
)
from quinr_pl.codec.rounding.levels import reduced_parameters, round_to_levels, rounded_integers
from quinr_pl.codec.rounding.protocol import Progress, Rounding, check_positive, untold
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.base import layers
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class Nearest(Rounding):
    """Each weight to the nearest level of its layer: quick, and what validations use.

    Args:
        bits: Levels of a layer's largest tensor number at most 2**bits; entropy coding then takes fewer
            bits than these.
        bits_by_tensor: Other bits for tensors whose name ends in a key.
        step_sizes: Step sizes for layers with a tensor whose name ends in a key, instead of bits. The
            nearest of a grid of eight to the octave is taken.

    Raises:
        QuinrError: If a value is out of range.
    """

    method: ClassVar[str] = "nearest"

    bits: int = 8
    bits_by_tensor: Mapping[str, int] = field(default_factory=dict)
    step_sizes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, bits in {"bits": self.bits, **self.bits_by_tensor}.items():
            if not 2 <= bits <= 16:
                raise QuinrError(f"{name} {bits}: must lie between 2 and 16")
        check_positive(**self.step_sizes)

    def quantize(
        self, network: Network, spec: SignalSpec, targets: Tensor | None = None, progress: Progress = untold
    ) -> QuantizedNetwork:
        """See Rounding; the signal has no part in it."""
        values = reduced_parameters(network)
        tensors: dict[str, QuantizedTensor] = {}
        for layer, names in layers(values).items():
            code = self.code({name: values[name] for name in names})
            if layer in network.fixed_point_layers:
                code = fixed_point_code(code)
            for name in names:
                tensors[name] = QuantizedTensor.of_one_step(round_to_levels(values[name], code), code)
        return QuantizedNetwork(network, tensors, rounded_integers(network))

    def code(self, values: Mapping[str, Tensor]) -> int:
        """Step size code of a layer whose periodic elements are already reduced."""
        least = least_code(values.values())
        for suffix, step in self.step_sizes.items():
            if any(name.endswith(suffix) for name in values):
                return max(nearest_code(step), least)
        name = max(values, key=lambda name: values[name].numel())
        bits = next((b for suffix, b in self.bits_by_tensor.items() if name.endswith(suffix)), self.bits)
        return max(smallest_code(float(values[name].abs().max()) / (2 ** (bits - 1) - 0.5)), least)
