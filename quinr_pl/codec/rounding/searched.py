"""Rate-distortion optimized quantization: what a layer's weights cost in bits against what rounding costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from quinr_pl.codec.file.encoder import encode
from quinr_pl.codec.quantized import (
    QuantizedNetwork,
    QuantizedTensor,
)
from quinr_pl.codec.rounding.choices import Choices, DeadZones, StepSizes
from quinr_pl.codec.rounding.levels import reduced_parameters, rounded_integers
from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.codec.rounding.trimming import decoded_error, trimmed_to_psnr, trimmed_to_size
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.base import known_mse, layers
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec

_ERROR_PIXELS, _BANDS = 1 << 17, 8  # of a larger signal, what so many bands show: hundreds of trials add up
_RISES = 2
_REPRICED, _REFINED = 6, 10
_TRIMMED, _LEFT = 0.1, 0.02
"""What share of the latents' bits their steps take off, and what share of a file they fill.

Coarser weights for 2 % of a photograph's file cost 0.5 dB where steps of latents cost nothing.
"""
_REGAINED = 1.1  # times the error asked for: what steps of latents bring back
_GAINING = 0.98  # times the error at four times the price: what finer weights are worth


@dataclass(frozen=True)
class Searched(Rounding):
    """Rate-distortion optimized quantization (RDOQ): of each layer the step that costs least.

    The cost is that of training, as in RDOQ of video encoders (Karczewicz et al. 2008, "Rate distortion
    optimized quantization", VCEG-AH21): mean squared error plus ``network.rate_weight`` (λ) times bits for
    each pixel. Here it chooses step sizes, and levels are the nearest; in a frame that is told by another,
    how far weights have to be from the other's levels to leave them. Where the file has a target, bits of
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
        if self.least_psnr:
            return self._to_psnr(network, spec, targets, progress)
        search = _Search(network, spec, targets)
        price = network.rate_weight / spec.pixels
        result = search.at_price(price, progress)
        if not self.most_bytes:
            return result
        # What has no latents has weights alone to keep to a size by.
        trimmed = _TRIMMED * float(network.integer_bits()) / 8
        for _ in range(_REPRICED):
            excess = len(encode(result, spec).data) - self.most_bytes
            if -_LEFT * self.most_bytes <= excess <= trimmed:
                kept = trimmed_to_size(result, spec, targets, self.most_bytes, progress)
                if len(encode(kept, spec).data) <= self.most_bytes:
                    return kept
            if abs(excess) > network.parameter_count():
                break
            # Twice the price is half an octave of step size, and saves half a bit for each weight.
            price *= 2 if excess > 0 else 0.5
            result = search.at_price(price, untold)
        return trimmed_to_size(result, spec, targets, self.most_bytes, progress)

    def _to_psnr(
        self, network: Network, spec: SignalSpec, targets: Tensor, progress: Progress
    ) -> QuantizedNetwork:
        """Latents stepped to the quality asked for, behind weights that are rounded finely enough for it."""
        most, errors = 10 ** (-self.least_psnr / 10), [math.inf, math.inf]
        price = network.rate_weight / spec.pixels
        for _ in range(_REFINED):
            # A new search: what a layer's steps change is another thing behind finer ones.
            result = _Search(network, spec, targets).at_price(price, progress)
            errors.append(decoded_error(result, spec, targets))
            if errors[-1] <= _REGAINED * most:
                kept = trimmed_to_psnr(result, spec, targets, self.least_psnr, progress)
                if decoded_error(kept, spec, targets) <= most:
                    return kept
            if errors[-1] > _GAINING * errors[-3]:
                break  # it is the training that falls short
            price *= 0.5
        return trimmed_to_psnr(result, spec, targets, self.least_psnr, progress)


class _Search:
    """The state of a search: every layer rounded so far is in the network.

    Args:
        network: Before rounding; a copy of it is written to.
        spec: Shape, kind and range of the signal.
        targets: Its values, (pixels, channels).
    """

    def __init__(self, network: Network, spec: SignalSpec, targets: Tensor) -> None:
        self._original, self._spec, self._targets = network, spec, targets
        self.values = reduced_parameters(network)
        self._network = fast_copy(network).to("cpu").eval()
        self._measured: dict[str, dict[int, tuple[float, float]]] = {}
        self._choices: Choices = StepSizes()
        if spec.reference is not None:
            self._choices = DeadZones(spec.reference.quantized.tensors, network.parameter_periods())

    def at_price(self, price: float, progress: Progress) -> QuantizedNetwork:
        """The network with the steps of the least error plus priced bits, found layer after layer.

        What was measured at another price is not measured again.
        """
        grouped = layers(self.values)
        tensors: dict[str, QuantizedTensor] = {}
        for number, (layer, names) in enumerate(grouped.items()):
            progress("rounding", number, len(grouped))
            tensors |= self._best(layer, names, price)
        ordered = {name: tensors[name] for name in self.values}
        return QuantizedNetwork(self._original, ordered, rounded_integers(self._original))

    def _best(self, layer: str, names: list[str], price: float) -> dict[str, QuantizedTensor]:
        """The layer at the step size that costs least at a price of a bit, also put into the network."""
        in_integers = layer in self._network.fixed_point_layers
        measured = self._measured.setdefault(layer, {})

        def cost(code: int) -> float:
            if code not in measured:
                tensors = self._put(names, code)
                bits = self._choices.bits(tensors)
                # A layer that decoders run in integers changes only the bits, every other one only the error.
                if in_integers:
                    measured[code] = 0.0, bits + float(self._network.integer_bits())
                else:
                    measured[code] = self._error(), bits
            error, bits = measured[code]
            return error + price * bits

        codes = self._choices.codes([self.values[name] for name in names], in_integers)
        return self._put(names, _lowest(cost, codes))

    def _put(self, names: list[str], code: int) -> dict[str, QuantizedTensor]:
        """A layer by one of the choices, also put into the network."""
        weights = self._network.weights()
        tensors = {name: self._choices.rounded(name, self.values[name], code) for name in names}
        for name, tensor in tensors.items():
            weights[name].copy_(tensor.dequantize())
        return tensors

    def _error(self) -> float:
        """Mean squared error of what is decoded, before rounding to integers; on bands of a large signal."""
        squared = [
            len(targets) * known_mse(self._network.signal(start, stop, self._spec.shape).clamp(0, 1), targets)
            for start, stop in self._bands
            for targets in [self._targets[start:stop]]
        ]
        return float(sum(squared)) / sum(stop - start for start, stop in self._bands)

    @cached_property
    def _bands(self) -> list[tuple[int, int]]:
        """First pixel of each band of whole rows, and the one past its last."""
        pixels, row = self._spec.pixels, self._spec.shape[-1]
        if pixels <= _ERROR_PIXELS:
            return [(0, pixels)]
        size = row * max(1, _ERROR_PIXELS // _BANDS // row)
        rows = pixels // row
        firsts = (row * ((2 * number + 1) * rows // (2 * _BANDS)) for number in range(_BANDS))
        return [(first, min(first + size, pixels)) for first in firsts]


def _lowest(cost: Callable[[int], float], codes: list[int]) -> int:
    """The code of the lowest cost, downhill from the middle; past its valley costs rise twice in a row."""
    best = codes[len(codes) // 2]
    least = cost(best)
    for way in (codes[len(codes) // 2 + 1 :], codes[: len(codes) // 2][::-1]):
        rises = 0
        for code in way:
            found = cost(code)
            if found < least:
                best, least, rises = code, found, 0
            else:
                rises += 1
            if rises == _RISES:
                break
    return best
