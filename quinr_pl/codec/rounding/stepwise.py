"""Rounding after training, one tensor after another, with training of the others in between."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.codec.file.encoder import bytes_for_rate, encode
from quinr_pl.codec.quantized import (
    Progress,
    QuantizationConfig,
    QuantizedNetwork,
    QuantizedTensor,
    reduced_parameters,
    untold,
)
from quinr_pl.codec.rounding.compensated import (
    LARGEST_GROUP,
    CompensatedQuantizer,
    Compensation,
    Integers,
    curvature_sample,
    steps_of_weights,
)
from quinr_pl.codec.rounding.curvature import gauss_newton
from quinr_pl.codec.rounding.rdoq import search_levels
from quinr_pl.errors import QuinrError
from quinr_pl.network import CoordinateNetwork
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec, coordinates

_MOST_TURNS = 24
_BATCH = 4096
_TRIES = 3


def quantize_stepwise(
    network: CoordinateNetwork,
    spec: SignalSpec,
    targets: Tensor,
    config: QuantizationConfig,
    progress: Progress = untold,
) -> QuantizedNetwork:
    """Quantize a trained network so that its file has ``config.rate`` bits for each weight at most.

    Layers are rounded in order, with compensation; after each one the weights that are still free are
    trained for a while, so that they make up for what the quadratic model of compensated rounding misses
    (as in incremental network quantization, Zhou et al. 2017). A search among neighbouring levels ends it.

    Args:
        network: A trained network; it is not changed.
        spec: The signal.
        targets: Its values in [0, 1], (pixels, channels), in row-major order.
        config: ``rate``, ``retraining_steps``, ``retraining_learning_rate``, ``points``, ``damping`` and
            ``seed`` are used here.
        progress: Called after each turn of rounding, and after each group of the search.

    Raises:
        QuinrError: If the targets do not fit the signal, or a weight is not finite.
    """
    if tuple(targets.shape) != (spec.pixels, spec.channels):
        raise QuinrError(f"targets of shape {tuple(targets.shape)}: need {(spec.pixels, spec.channels)}")
    quantizer = CompensatedQuantizer(network, spec, config)
    most_bytes = bytes_for_rate(network, spec, config.rate)
    aim = most_bytes
    for _ in range(_TRIES):
        start = quantizer.at_size(aim)
        codes = {name: tensor.codes for name, tensor in start.tensors.items()}
        result = _round_in_turn(network, spec, targets, codes, config, progress)
        size = len(encode(result, spec).data)
        if size <= most_bytes:
            break
        # Training moved the distributions a little.
        aim *= 0.998 * most_bytes / size
    else:
        result = quantizer.at_size(most_bytes)
    return search_levels(result, spec, targets, most_bytes, config, progress)


def _round_in_turn(
    network: CoordinateNetwork,
    spec: SignalSpec,
    targets: Tensor,
    codes: dict[str, Integers],
    config: QuantizationConfig,
    progress: Progress,
) -> QuantizedNetwork:
    free = fast_copy(network)
    generator = torch.Generator().manual_seed(config.seed)
    counted = torch.from_numpy(spec.counted_pixels())
    grid, targets = coordinates(spec.shape)[counted], targets[counted]
    done: dict[str, QuantizedTensor] = {}
    turns = _turns(free)
    for turn, names in enumerate(turns):
        progress("rounding", turn, len(turns))
        done |= _round_and_move(
            free, spec, names, [name for name in codes if name not in done], codes, config
        )
        rest = [p for name, p in free.named_parameters() if name not in done and p.requires_grad]
        if rest:
            _train(free, rest, grid, targets, generator, config)
    return QuantizedNetwork(network, {name: done[name] for name in codes})


def _turns(network: CoordinateNetwork) -> list[list[str]]:
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
    network: CoordinateNetwork,
    spec: SignalSpec,
    names: list[str],
    free: list[str],
    codes: dict[str, Integers],
    config: QuantizationConfig,
) -> dict[str, QuantizedTensor]:
    """Round some tensors of a network, and move others that are free to make up for it."""
    values = reduced_parameters(network)
    moved, room = list(names), LARGEST_GROUP - sum(values[name].numel() for name in names)
    for name in free:
        if name not in names and values[name].numel() <= room:
            moved.append(name)
            room -= values[name].numel()
    sizes = [values[name].numel() for name in moved]
    rounded = sum(sizes[: len(names)])
    steps = steps_of_weights({name: codes[name] for name in moved}, values)
    flat = np.concatenate([values[name].numpy().astype(np.float64).ravel() for name in moved])
    if room < 0:
        levels = np.clip(np.rint(flat / steps), -LARGEST_LEVEL, LARGEST_LEVEL)
    else:
        hessian = gauss_newton(network, moved, curvature_sample(spec, sum(sizes), config))
        levels = Compensation.of(hessian, steps, config.damping, rounded).round(flat, steps, rounded)
    tensors: dict[str, QuantizedTensor] = {}
    bounds = np.cumsum(sizes)[:-1]
    for name, part, weights in zip(
        moved, np.split(levels, bounds), np.split(levels * steps, bounds), strict=True
    ):
        shape = values[name].shape
        if name in names:
            tensors[name] = QuantizedTensor(part.astype(np.int64).reshape(shape), codes[name])
            network.get_parameter(name).copy_(tensors[name].dequantize())
        else:
            network.get_parameter(name).copy_(torch.from_numpy(weights.reshape(shape)))
    return tensors


def _train(
    network: CoordinateNetwork,
    free: list[torch.nn.Parameter],
    grid: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    config: QuantizationConfig,
) -> None:
    device = free[0].device
    optimizer = torch.optim.Adam(free, lr=config.retraining_learning_rate, betas=(0.9, 0.99))
    for step in range(config.retraining_steps):
        share = step / config.retraining_steps
        optimizer.param_groups[0]["lr"] = config.retraining_learning_rate * math.cos(share * math.pi / 2) ** 2
        chosen = torch.randint(len(grid), (_BATCH,), generator=generator)
        errors = network(grid[chosen].to(device)) - targets[chosen].to(device)
        gradients = torch.autograd.grad(errors.square().mean(), free)
        for parameter, gradient in zip(free, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
