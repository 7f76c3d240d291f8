"""Rate-distortion optimized quantization: what weights take in bits against what their rounding costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from quinr_pl.codec.file.encoder import encode
from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.codec.rounding.priced import PricedQuantizer
from quinr_pl.codec.rounding.protocol import Progress, Rounding, untold
from quinr_pl.codec.rounding.trimming import decoded_error, trimmed_to_psnr, trimmed_to_size
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.signals import SignalSpec

_REPRICED, _REFINED = 6, 10
_TRIMMED, _LEFT = 0.1, 0.02
"""What share of the latents' bits their steps take off, and what share of a file they fill.

Coarser weights for 2 % of a photograph's file cost 0.5 dB where steps of latents cost nothing.
"""
_REGAINED = 1.1  # times the error asked for: what steps of latents bring back
_GAINING = 0.98  # times the error at four times the price: what finer weights are worth


@dataclass(frozen=True)
class Searched(Rounding):
    """Rate-distortion optimized quantization (RDOQ): the steps and levels that cost least.

    The cost is that of training, as in RDOQ of video encoders (Karczewicz et al. 2008, "Rate distortion
    optimized quantization", VCEG-AH21): mean squared error plus ``network.rate_weight`` (λ) times bits for
    each pixel. Weights take steps by the curvature of that cost, and levels with which they make up for
    each other (`PricedQuantizer`). Single latents then take a step where that lowers the error and leaves the
    size. Where the file has a target, they step until it is reached, and bits of weights have another price
    if it is far.

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
                raise QuinrError(f"{name} {value}: must not be negative, and finite")
        if self.most_bytes and self.least_psnr:
            raise QuinrError(f"most_bytes {self.most_bytes}: leave it or least_psnr out")

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
        """See Rounding. Progress is told before each group of weights and each round of steps of latents."""
        targets = self.require_targets(spec, targets).cpu()
        if self.least_psnr:
            return self._to_psnr(network, spec, targets, progress)
        quantizer = PricedQuantizer(network, spec, targets, progress)
        price = network.rate_weight / spec.pixels
        result = quantizer.at_price(price, progress)
        if not self.most_bytes:
            return trimmed_to_size(result, spec, targets, len(encode(result, spec).data), progress)
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
            result = quantizer.at_price(price, untold)
        return trimmed_to_size(result, spec, targets, self.most_bytes, progress)

    def _to_psnr(
        self, network: Network, spec: SignalSpec, targets: Tensor, progress: Progress
    ) -> QuantizedNetwork:
        """Latents stepped to the quality asked for, behind weights that are rounded finely enough for it."""
        most, errors = 10 ** (-self.least_psnr / 10), [math.inf, math.inf]
        quantizer = PricedQuantizer(network, spec, targets, progress)
        price = network.rate_weight / spec.pixels
        for _ in range(_REFINED):
            result = quantizer.at_price(price, progress)
            errors.append(decoded_error(result, spec, targets))
            if errors[-1] <= _REGAINED * most:
                kept = trimmed_to_psnr(result, spec, targets, self.least_psnr, progress)
                if decoded_error(kept, spec, targets) <= most:
                    return kept
            if errors[-1] > _GAINING * errors[-3]:
                break  # it is the training that falls short
            price *= 0.5
        return trimmed_to_psnr(result, spec, targets, self.least_psnr, progress)
