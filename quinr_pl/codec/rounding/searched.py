"""Rate-distortion optimized quantization: what a layer's weights cost in bits against what rounding costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from quinr_pl.codec.coding.mixture import coded_bits
from quinr_pl.codec.file.encoder import encode
from quinr_pl.codec.quantized import (
    FIXED_POINT_CODES,
    STEPS_PER_OCTAVE,
    QuantizedNetwork,
    QuantizedTensor,
    least_code,
    nearest_code,
)
from quinr_pl.codec.rounding.levels import reduced_parameters, round_to_levels, rounded_integers
from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.codec.rounding.trimming import trimmed_to_psnr, trimmed_to_size
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.base import known_mse, layers
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec

_FINEST = 2.0**-11
_OCTAVES = 10
_TRIALS_PER_OCTAVE = 2
_ERROR_PIXELS, _BANDS = 1 << 20, 8  # of a larger signal, what so many bands show: hundreds of trials add up
_REPRICED = 6
_TRIMMED, _LEFT = 0.01, 0.02
"""What share of a file steps of latents take off at next to no loss, and what share they fill."""


@dataclass(frozen=True)
class Searched(Rounding):
    """Rate-distortion optimized quantization (RDOQ): of each layer the step that costs least.

    The cost is that of training, as in RDOQ of video encoders (Karczewicz et al. 2008, "Rate distortion
    optimized quantization", VCEG-AH21): mean squared error plus ``network.rate_weight`` (λ) times bits for
    each pixel. Here it chooses step sizes, and levels are the nearest. Where the file has a target, bits of
    weights have another price if it is far from it, and single latents then take a step.

    Args:
        most_bytes: Size of the whole file; 0 for any.
        least_psnr: In dB, of what is decoded; 0 for any.

    Raises:
        QuinrError: If a value is negative, or both are given.
    """

    method: ClassVar[str] = "searched"

    most_bytes: int = 0
    least_psnr: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("most_bytes", self.most_bytes), ("least_psnr", self.least_psnr)):
            if not 0 <= value < math.inf:
                raise QuinrError(f"quantization of {name}: {value} must not be negative, and finite")
        if self.most_bytes and self.least_psnr:
            raise QuinrError(f"quantization of most_bytes {self.most_bytes}: leave it or least_psnr out")

    def within(self, most_bytes: int | None, least_psnr: float | None) -> Searched:
        """See Rounding; both are options of this way."""
        return Searched(most_bytes or 0, least_psnr or 0.0)

    def check(self, network: Network) -> None:
        """Refuse networks that do not say what a bit costs."""
        if not network.rate_weight > 0:
            raise QuinrError(
                f"quantization method {self.method}: {type(network).__name__} has no rate_weight, by which "
                "bits are weighed against errors; choose stepwise or compensated"
            )

    @torch.no_grad()
    def quantize(
        self, network: Network, spec: SignalSpec, targets: Tensor | None = None, progress: Progress = untold
    ) -> QuantizedNetwork:
        """See Rounding. Progress is told before each layer and each round of steps of latents."""
        targets = self.require_targets(spec, targets).cpu()
        price = network.rate_weight
        result = _searched(network, spec, targets, price, progress)
        if self.least_psnr:
            return trimmed_to_psnr(result, spec, targets, self.least_psnr, progress)
        if not self.most_bytes:
            return result
        for _ in range(_REPRICED):
            excess = len(encode(result, spec).data) - self.most_bytes
            # Twice the price is half an octave of step size, and saves half a bit for each weight.
            if -_LEFT * self.most_bytes <= excess <= _TRIMMED * self.most_bytes:
                break
            if abs(excess) > network.parameter_count():
                break
            price *= 2 if excess > 0 else 0.5
            result = _searched(network, spec, targets, price, progress)
        return trimmed_to_size(result, spec, targets, self.most_bytes, progress)


def _searched(
    network: Network, spec: SignalSpec, targets: Tensor, rate_weight: float, progress: Progress
) -> QuantizedNetwork:
    """The network with the step sizes that cost least at a price of bits."""
    values = reduced_parameters(network)
    trial = fast_copy(network).to("cpu").eval()
    search = _Search(trial, spec, targets, values, rate_weight / spec.pixels)
    tensors: dict[str, QuantizedTensor] = {}
    for number, (layer, names) in enumerate(layers(values).items()):
        progress("rounding", number, len(layers(values)))
        tensors |= search.best(layer, names)
    return QuantizedNetwork(network, {name: tensors[name] for name in values}, rounded_integers(network))


@dataclass
class _Search:
    """The state of a search: every layer rounded so far is in the network.

    Args:
        network: A copy that is written to.
        spec: Shape, kind and range of the signal.
        targets: Its values, (pixels, channels).
        values: Weights before rounding.
        price: What a bit costs, in units of the mean squared error.
    """

    network: Network
    spec: SignalSpec
    targets: Tensor
    values: dict[str, Tensor]
    price: float

    def error(self) -> float:
        """Mean squared error of what is decoded, before rounding to integers; on bands of a large signal."""
        squared = [
            len(targets) * known_mse(self.network.signal(start, stop, self.spec.shape).clamp(0, 1), targets)
            for start, stop in self.bands
            for targets in [self.targets[start:stop]]
        ]
        return float(sum(squared)) / sum(stop - start for start, stop in self.bands)

    @cached_property
    def bands(self) -> list[tuple[int, int]]:
        """First pixel of each band of whole rows, and the one past its last."""
        pixels, row = self.spec.pixels, self.spec.shape[-1]
        if pixels <= _ERROR_PIXELS:
            return [(0, pixels)]
        size = row * max(1, _ERROR_PIXELS // _BANDS // row)
        rows = pixels // row
        firsts = (row * ((2 * number + 1) * rows // (2 * _BANDS)) for number in range(_BANDS))
        return [(first, min(first + size, pixels)) for first in firsts]

    def rounded(self, names: list[str], code: int) -> dict[str, QuantizedTensor]:
        """A layer at a step size, also put into the network."""
        tensors = {
            name: QuantizedTensor.of_one_step(round_to_levels(self.values[name], code), code)
            for name in names
        }
        weights = self.network.weights()
        for name, tensor in tensors.items():
            weights[name].copy_(tensor.dequantize())
        return tensors

    def best(self, layer: str, names: list[str]) -> dict[str, QuantizedTensor]:
        """The layer at the step size of the least error plus priced bits."""
        in_integers = layer in self.network.fixed_point_layers
        chosen, least = 0, float("inf")
        for code in _codes([self.values[name] for name in names], in_integers):
            tensors = self.rounded(names, code)
            bits = sum(coded_bits(tensor.levels.ravel()) for tensor in tensors.values())
            # A layer that decoders run in integers changes only the bits, every other one only the error.
            if in_integers:
                cost = self.price * (bits + float(self.network.integer_bits()))
            else:
                cost = self.error() + self.price * bits
            if cost < least:
                chosen, least = code, cost
        return self.rounded(names, chosen)


def _codes(tensors: list[Tensor], in_integers: bool) -> list[int]:
    lowest = least_code(tensors)
    if in_integers:
        finest, coarsest = FIXED_POINT_CODES
        return [code for code in range(finest, coarsest + 1, STEPS_PER_OCTAVE) if code >= lowest] or [
            coarsest
        ]
    spacing = STEPS_PER_OCTAVE // _TRIALS_PER_OCTAVE
    first = nearest_code(_FINEST)
    trials = range(first, first + _OCTAVES * STEPS_PER_OCTAVE, spacing)
    return sorted({max(code, lowest) for code in trials})
