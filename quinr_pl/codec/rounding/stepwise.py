"""Incremental quantization after training: layer after layer, with training of the others in between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec.arrays import Integers
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.codec.file.encoder import bytes_for_rate, encode
from quinr_pl.codec.quantized import QuantizedNetwork, QuantizedTensor
from quinr_pl.codec.rounding.compensated import (
    LARGEST_GROUP,
    Compensated,
    CompensatedQuantizer,
    curvature_sample,
)
from quinr_pl.codec.rounding.compensation import Compensation
from quinr_pl.codec.rounding.curvature import gauss_newton
from quinr_pl.codec.rounding.flattening import flattened, unflattened
from quinr_pl.codec.rounding.level_search import search_levels
from quinr_pl.codec.rounding.levels import reduced_parameters
from quinr_pl.codec.rounding.protocol import Progress, check_positive, untold
from quinr_pl.codec.rounding.row_steps import steps_of_weights
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec, coordinates

_MOST_TURNS = 24
_BATCH = 4096
_TRIES = 3


@dataclass(frozen=True)
class Stepwise(Compensated):
    """Incremental quantization: layer after layer, the rest trained in between; best, and takes minutes.

    Layers are rounded in order, with compensation; after each one the weights that are still free are
    trained for a while, so that they make up for what the quadratic model of compensated rounding misses
    (as in Zhou et al. 2017, "Incremental network quantization: towards lossless CNNs with low-precision
    weights"). A search among neighbouring levels ends it.

    Args:
        rate: Bits of the file for each weight, everything but a mask included, at most.
        points: Coordinates that the curvature is averaged over, at most.
        damping: Added to the curvature's diagonal, in units of the mean curvature of a step.
        seed: Which coordinates, and which of them in training.
        retraining_steps: Steps of training after each layer.
        retraining_learning_rate: Of Adam, where it starts.

    Raises:
        QuinrError: If a value is out of range.
    """

    method: ClassVar[str] = "stepwise"
    duration: ClassVar[float] = 0.3

    retraining_steps: int = 400
    retraining_learning_rate: float = 5e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(retraining_learning_rate=self.retraining_learning_rate)
        if self.retraining_steps < 0:
            raise QuinrError(f"retraining_steps {self.retraining_steps}: must not be negative")

    def quantize(
        self, network: Network, spec: SignalSpec, targets: Tensor | None = None, progress: Progress = untold
    ) -> QuantizedNetwork:
        """See Rounding. Progress is told after each turn of rounding and each group of the search."""
        targets = self.require_targets(spec, targets)
        quantizer = CompensatedQuantizer(network, spec, self)
        most_bytes = bytes_for_rate(network, spec, self.rate)
        aim = most_bytes
        for _ in range(_TRIES):
            start = quantizer.at_size(aim)
            codes = {name: tensor.codes for name, tensor in start.tensors.items()}
            result = _round_in_turn(network, spec, targets, codes, self, progress)
            size = len(encode(result, spec).data)
            if size <= most_bytes:
                break
            # Training moved the distributions a little.
            aim *= 0.998 * most_bytes / size
        else:
            result = quantizer.at_size(most_bytes)
        return search_levels(result, spec, targets, most_bytes, self.seed, progress)


def _round_in_turn(
    network: Network,
    spec: SignalSpec,
    targets: Tensor,
    codes: dict[str, Integers],
    options: Stepwise,
    progress: Progress,
) -> QuantizedNetwork:
    free = fast_copy(network)
    generator = torch.Generator().manual_seed(options.seed)
    counted = torch.from_numpy(spec.counted_pixels())
    grid, targets = coordinates(spec.shape)[counted], targets[counted]
    done: dict[str, QuantizedTensor] = {}
    turns = _turns(free)
    for turn, names in enumerate(turns):
        progress("rounding", turn, len(turns))
        done |= _round_and_move(
            free, spec, names, [name for name in codes if name not in done], codes, options
        )
        rest = [p for name, p in free.named_parameters() if name not in done and p.requires_grad]
        if rest:
            _train(free, rest, grid, targets, generator, options)
    return QuantizedNetwork(network, {name: done[name] for name in codes})


def _turns(network: Network) -> list[list[str]]:
    """Parameters to round together: a layer, or several small ones, from the coordinates to the values."""
    turns: list[list[str]] = []
    least = network.parameter_count() / _MOST_TURNS
    size = least
    for names in network.parameters_by_depth():
        if size >= least:
            turns.append([])
            size = 0
        turns[-1] += names
        size += sum(network.get_parameter(name).numel() for name in names)
    return turns


@torch.no_grad()
def _round_and_move(
    network: Network,
    spec: SignalSpec,
    names: list[str],
    free: list[str],
    codes: dict[str, Integers],
    options: Stepwise,
) -> dict[str, QuantizedTensor]:
    """Round some tensors of a network, and move others that are free to make up for it."""
    values = reduced_parameters(network)
    moved, room = list(names), LARGEST_GROUP - sum(values[name].numel() for name in names)
    for name in free:
        if name not in names and values[name].numel() <= room:
            moved.append(name)
            room -= values[name].numel()
    moving = {name: values[name] for name in moved}
    rounded = sum(values[name].numel() for name in names)
    steps = steps_of_weights({name: codes[name] for name in moved}, moving)
    flat = flattened(moving)
    if room < 0:
        levels = np.clip(np.rint(flat / steps), -LARGEST_LEVEL, LARGEST_LEVEL)
    else:
        hessian = gauss_newton(network, moved, curvature_sample(spec, len(flat), options))
        levels = Compensation.of(hessian, steps, options.damping, rounded).round(flat, steps, rounded)
    weights = unflattened(levels * steps, moving)
    tensors: dict[str, QuantizedTensor] = {}
    for name, part in unflattened(levels, moving).items():
        if name in names:
            tensors[name] = QuantizedTensor(part.astype(np.int64), codes[name])
            network.get_parameter(name).copy_(tensors[name].dequantize())
        else:
            network.get_parameter(name).copy_(torch.from_numpy(weights[name]))
    return tensors


def _train(
    network: Network,
    free: list[torch.nn.Parameter],
    grid: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    options: Stepwise,
) -> None:
    device = free[0].device
    optimizer = torch.optim.Adam(free, lr=options.retraining_learning_rate, betas=(0.9, 0.99))
    for step in range(options.retraining_steps):
        share = step / options.retraining_steps
        rate = options.retraining_learning_rate * math.cos(share * math.pi / 2) ** 2
        optimizer.param_groups[0]["lr"] = rate
        chosen = torch.randint(len(grid), (_BATCH,), generator=generator)
        errors = network(grid[chosen].to(device)) - targets[chosen].to(device)
        gradients = torch.autograd.grad(errors.square().mean(), free)
        for parameter, gradient in zip(free, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
