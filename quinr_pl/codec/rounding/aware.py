"""Training that feels the quantization and the rate: what a callback calls before and after each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec.coding.mixture import LARGEST_SYMBOL, symbol_costs
from quinr_pl.codec.quantized import QuantizedTensor, nearest_code, step_size
from quinr_pl.codec.rounding.curvature import require_sampling, sample_coordinates, total_curvature
from quinr_pl.codec.rounding.levels import reduced_parameters, round_to_levels
from quinr_pl.codec.sections.weights import write_weights
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.base import layers
from quinr_pl.ops.soft_rounding import soft_round, soft_round_slope
from quinr_pl.signals import SignalSpec

_FLAG = "--trainer.callbacks.training"
_TABLE_LIFE = 100
_STEP_LEARNING_RATE = 0.01
_SOFTEST, _HARDEST = 1.0, 0.1
_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class QuantizationTraining:
    """How a fit prepares its weights for quantization.

    Args:
        start: Share of the fit after which weights are rounded softly, ever harder.
        hard: Share after which they are rounded to levels, with straight-through gradients.
        rate: Bits for each weight that the step sizes aim at when rounding starts.
        rate_weight: λ in the loss distortion + λ · rate, with the rate in bits for each pixel and the
            distortion the mean squared error of targets in [0, 1].
        learn_steps: Whether step sizes follow the gradient of that loss during soft rounding.

    Raises:
        QuinrError: If a value is out of range.
    """

    start: float = 0.7
    hard: float = 0.9
    rate: float = 5.0
    rate_weight: float = 0.0
    learn_steps: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.hard <= 1:
            raise QuinrError(f"{_FLAG}.start {self.start} and hard {self.hard}: need 0 <= start <= hard <= 1")
        if not 0 < self.rate <= 16:
            raise QuinrError(f"{_FLAG}.rate {self.rate}: must lie between 0 and 16 bits")
        if not 0 <= self.rate_weight < math.inf:
            raise QuinrError(f"{_FLAG}.rate_weight {self.rate_weight}: must not be negative, and finite")
        if self.learn_steps and self.rate_weight == 0:
            raise QuinrError(
                f"{_FLAG}.learn_steps true: needs a rate_weight above 0, or steps shrink to nothing"
            )

    def check(self, network: Network) -> None:
        """Refuse a network that this training cannot serve, before it is trained.

        Its step sizes come from the error's curvature in the weights at a sample of coordinates.

        Raises:
            QuinrError: If the network takes the whole signal at once, or has latents.
        """
        remedy = "leave it out, and round by final: {method: searched}"
        require_sampling(network, _FLAG, remedy)


def steps_for_rate(network: Network, spec: SignalSpec, rate: float, points: int = 2048) -> dict[str, float]:
    """Step sizes, inverse to the root of each layer's curvature, at which the weights take some bits.

    Args:
        network: A network in training.
        spec: Shape, kind and range of the signal.
        rate: Bits for each weight, header not counted.
        points: Coordinates to average the curvature over.
    """
    device = next(network.parameters()).device
    curvature = total_curvature(network, sample_coordinates(spec, points).to(device))
    values = reduced_parameters(network)
    roots: dict[str, float | None] = {}
    for names in layers(values).values():
        weights = sum(values[name].numel() for name in names)
        mean = sum(curvature.get(name, 0.0) for name in names) / weights
        # A layer that isn't trained has no curvature here: the finest steps of all, as it is small.
        roots |= dict.fromkeys(names, math.sqrt(mean + 1e-12) if mean else None)
    finest = max(root for root in roots.values() if root is not None)
    low, high = -40.0, 20.0
    for _ in range(20):
        exponent = (low + high) / 2
        codes = {name: nearest_code(2**exponent / (root or finest)) for name, root in roots.items()}
        tensors = {
            name: QuantizedTensor.of_one_step(round_to_levels(values[name], code), code)
            for name, code in codes.items()
        }
        bits = 8 * len(write_weights(tensors))
        low, high = (exponent, high) if bits > rate * network.parameter_count() else (low, exponent)
    return {name: step_size(code) for name, code in codes.items()}


class RateModel:
    """Bits of a tensor's weights and their derivatives, from the entropy coder's own distributions."""

    def __init__(self) -> None:
        self._tables: dict[str, Tensor] = {}

    def refresh(self, name: str, levels: Tensor) -> None:
        """Learn the distribution of a tensor's levels, which the coder adapts to."""
        costs = symbol_costs(levels.detach().cpu().numpy().astype(np.int64))
        self._tables[name] = torch.from_numpy(costs).float().to(levels.device)

    def __call__(self, name: str, values: Tensor) -> tuple[Tensor, Tensor]:
        """Bits of each value, in units of its step size, interpolated between levels; and the slope."""
        table = self._tables[name]
        position = (values + LARGEST_SYMBOL).clamp(0, len(table) - 1.001)
        index = position.floor().long()
        slope = table[index + 1] - table[index]
        return table[index] + slope * (position - index), slope


class QuantizationAwareTraining:
    """Replaces the weights for the forward and backward pass, and puts them back with their gradients.

    Call ``before_step`` ahead of the forward pass and ``after_step`` between the backward pass and the
    optimizer's step. Until ``settings.start`` neither does anything.

    Args:
        network: The network in training.
        spec: Shape, kind and range of the signal.
        settings: When and how.

    Attributes:
        steps: Step sizes by parameter; empty before rounding starts.
        bits: Estimated bits of all weights at the last step.
    """

    def __init__(
        self, network: Network, spec: SignalSpec, settings: QuantizationTraining | None = None
    ) -> None:
        self._network = network
        self._spec = spec
        self.settings = settings or QuantizationTraining()
        self.steps: dict[str, float] = {}
        self.bits = 0.0
        self._rate = RateModel()
        self._kept: dict[str, Tensor] = {}
        self._slopes: dict[str, Tensor] = {}
        self._moments: dict[str, tuple[float, float]] = {}
        self._count = 0
        self._hard = False

    def state_dict(self) -> dict[str, object]:
        """What a continued fit needs to know."""
        return {"steps": dict(self.steps), "moments": dict(self._moments), "count": self._count}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from an earlier fit."""
        self.steps = dict(state["steps"])  # type: ignore[call-overload]
        self._moments = dict(state["moments"])  # type: ignore[call-overload]
        self._count = int(state["count"])  # type: ignore[call-overload]

    @torch.no_grad()
    def before_step(self, progress: float) -> None:
        """Quantize the weights for one forward and backward pass.

        Args:
            progress: Share of the fit that is done, 0 to 1.
        """
        settings = self.settings
        if progress < settings.start:
            return
        if not self.steps:
            self.steps = steps_for_rate(self._network, self._spec, settings.rate)
        self._hard = progress >= settings.hard
        if self._hard:
            # From here on the steps are those of the file.
            self.steps = {name: step_size(nearest_code(step)) for name, step in self.steps.items()}
        share = (progress - settings.start) / max(settings.hard - settings.start, 1e-9)
        temperature = _SOFTEST * (_HARDEST / _SOFTEST) ** min(share, 1.0)
        for name, parameter in self._network.weights().items():
            self._kept[name] = parameter.detach().clone()
            scaled = parameter / self.steps[name]
            if self._hard:
                rounded, slope = torch.round(scaled), torch.ones_like(scaled)
            else:
                rounded, slope = soft_round(scaled, temperature), soft_round_slope(scaled, temperature)
            self._slopes[name] = slope
            parameter.copy_(rounded * self.steps[name])

    @torch.no_grad()
    def after_step(self) -> None:
        """Put the weights back, turn their gradients into those of the whole loss, move the step sizes."""
        if not self._kept:
            return
        bits = 0.0
        moves: dict[str, float] = {}
        for name, parameter in self._network.weights().items():
            kept, step = self._kept[name], self.steps[name]
            gradient = torch.zeros_like(kept) if parameter.grad is None else parameter.grad
            move = float((gradient * (parameter - kept * self._slopes[name])).sum())
            gradient = gradient * self._slopes[name]
            parameter.copy_(kept)
            if self.settings.rate_weight > 0:
                costs, slope = self._rate_of(name, kept / step)
                bits += float(costs.sum())
                weight = self.settings.rate_weight / self._spec.pixels
                gradient = gradient + weight * slope / step
                move -= weight * float((slope * kept / step).sum())
            moves[name] = move
            if parameter.requires_grad:
                parameter.grad = gradient
        if self.settings.learn_steps and not self._hard:
            for names in layers(moves).values():
                self._move_step(names, sum(moves[name] for name in names))
        self.bits = bits
        self._count += 1
        self._kept = {}

    def _rate_of(self, name: str, scaled: Tensor) -> tuple[Tensor, Tensor]:
        if self._count % _TABLE_LIFE == 0 or self._count == 0:
            self._rate.refresh(name, torch.round(scaled))
        return self._rate(name, scaled)

    def _move_step(self, names: list[str], gradient: float) -> None:
        """One step of Adam on the logarithm of a layer's step size."""
        first, second = self._moments.get(names[0], (0.0, 0.0))
        first = _BETAS[0] * first + (1 - _BETAS[0]) * gradient
        second = _BETAS[1] * second + (1 - _BETAS[1]) * gradient**2
        self._moments[names[0]] = first, second
        count = self._count + 1
        first, second = first / (1 - _BETAS[0] ** count), second / (1 - _BETAS[1] ** count)
        for name in names:
            self.steps[name] *= math.exp(-_STEP_LEARNING_RATE * first / (math.sqrt(second) + 1e-20))
