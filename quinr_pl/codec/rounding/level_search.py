"""Levels of a rounded network moved to neighbours, one or two at a time, where that lowers the error."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec.arrays import Floats
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.codec.file.encoder import encode
from quinr_pl.codec.quantized import (
    QuantizedNetwork,
    QuantizedTensor,
)
from quinr_pl.codec.rounding.compensated import LARGEST_GROUP, curvature_groups
from quinr_pl.codec.rounding.curvature import gauss_newton, sample_coordinates
from quinr_pl.codec.rounding.flattening import unflattened
from quinr_pl.codec.rounding.protocol import Progress, untold
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec, coordinates

_VALUES_PER_WEIGHT = 24
_ERROR_POINTS = 1 << 19
_MOST_MOVES = 64
_FIRST_OF_A_PAIR = 200
_BATCH = 1 << 14


def search_levels(
    quantized: QuantizedNetwork,
    spec: SignalSpec,
    targets: Tensor,
    most_bytes: float,
    seed: int = 0,
    progress: Progress = untold,
) -> QuantizedNetwork:
    """Lower a rounded network's squared error by moving levels to their neighbours.

    Rounding one weight after another ends at Babai's nearest plane; where weights depend on each other there
    are better points of the lattice close by. Moves of one level or of two at once are chosen by the
    quadratic model of the error (its gradient at the rounded weights and the Gauss-Newton matrix) and kept if
    the error of the decoded values falls and the file is no larger than allowed. When a batch of moves
    fails, half as many are tried; one that fails alone ends the search.

    Args:
        quantized: A rounded network; its step sizes stay.
        spec: Shape, kind and range of the signal.
        targets: Its values in [0, 1], (pixels, channels), in row-major order.
        most_bytes: What the file may take.
        seed: Which coordinates stand for all of a large signal.
        progress: Called before each group of parameters.

    Returns:
        A network whose error is no larger.
    """
    search = _Search(quantized, spec, targets, seed)
    groups = curvature_groups(search.values())
    for number, names in enumerate(groups):
        progress("searching among levels", number, len(groups))
        trained = [name for name in names if search.trains(name)]
        if trained and search.count(trained) <= LARGEST_GROUP:
            search.descend(trained, most_bytes)
    return search.result()


class _Search:
    """A network at some levels, and the error it makes there."""

    def __init__(self, quantized: QuantizedNetwork, spec: SignalSpec, targets: Tensor, seed: int) -> None:
        self._quantized, self._spec, self._seed = quantized, spec, seed
        self._network = fast_copy(quantized.network)
        quantized.load_into(self._network)
        chosen = spec.sample_pixels(_ERROR_POINTS, seed)
        device = next(self._network.parameters()).device
        self._points = coordinates(spec.shape)[chosen].to(device)
        self._targets = targets[torch.from_numpy(chosen)].to(device)

    def values(self) -> dict[str, Tensor]:
        return self._quantized.dequantize()

    def trains(self, name: str) -> bool:
        return self._network.get_parameter(name).requires_grad

    def count(self, names: list[str]) -> int:
        return sum(self._network.get_parameter(name).numel() for name in names)

    def result(self) -> QuantizedNetwork:
        return self._quantized

    def descend(self, names: list[str], most_bytes: float) -> None:
        """Search among the levels of some parameters."""
        tensors = [self._quantized.tensors[name] for name in names]
        steps = np.concatenate([np.broadcast_to(t.steps, t.levels.shape).ravel() for t in tensors])
        count = _VALUES_PER_WEIGHT * len(steps) // self._spec.channels
        points = sample_coordinates(self._spec, count, self._seed)
        hessian = gauss_newton(self._network, names, points) * np.outer(steps, steps)
        error, gradient = self._error(names)
        most_moves = _MOST_MOVES
        while most_moves:
            moves = choose_moves(gradient * steps, hessian, most_moves)
            if not moves.any():
                return
            before = self._quantized
            self._move(names, moves)
            moved_error, moved_gradient = self._error(names)
            if moved_error < error and len(encode(self._quantized, self._spec).data) <= most_bytes:
                error, gradient = moved_error, moved_gradient
            else:
                self._quantized = before
                before.load_into(self._network)
                most_moves = min(most_moves, int(np.count_nonzero(moves))) // 2

    def _move(self, names: list[str], moves: Floats) -> None:
        tensors = dict(self._quantized.tensors)
        moved = {name: self._network.get_parameter(name) for name in names}
        for name, part in unflattened(moves.astype(np.int64), moved).items():
            levels = np.clip(tensors[name].levels + part, -LARGEST_LEVEL, LARGEST_LEVEL)
            tensors[name] = QuantizedTensor(levels, tensors[name].codes)
        self._quantized = QuantizedNetwork(self._quantized.network, tensors, self._quantized.integers)
        self._quantized.load_into(self._network)

    def _error(self, names: list[str]) -> tuple[float, Floats]:
        """Mean squared error and its gradient in some parameters, (weights,)."""
        parameters = [self._network.get_parameter(name) for name in names]
        total, gradient = 0.0, np.zeros(self.count(names))
        for points, targets in zip(self._points.split(_BATCH), self._targets.split(_BATCH), strict=True):
            error = (self._network(points) - targets).square().sum()
            parts = torch.autograd.grad(error, parameters)
            gradient += torch.cat([part.flatten() for part in parts]).double().cpu().numpy()
            total += float(error.detach())
        return total / self._targets.numel(), gradient / self._targets.numel()


def choose_moves(gradient: Floats, hessian: Floats, most: int) -> Floats:
    """Integers d, found greedily, for which gradient' d + d' hessian d is small.

    Each step adds ±1 to the one or two elements that lower it most. The first element of a pair is one of
    those that cost least alone.

    Args:
        gradient: Of the error in the levels, (n,).
        hessian: Symmetric, (n, n).
        most: Steps at most.

    Returns:
        (n,), zeros where nothing helps.
    """
    moves, slope, curvature = np.zeros(len(gradient)), gradient.copy(), hessian.diagonal()
    for _ in range(most):
        alone = curvature - np.abs(slope)
        best, chosen = float(alone.min()), [int(alone.argmin())]
        signs = [-1.0 if slope[chosen[0]] > 0 else 1.0]
        first = np.argsort(alone, kind="stable")[:_FIRST_OF_A_PAIR]
        for sign in (1.0, -1.0):
            first_signs = np.where(slope[first] > 0, -sign, sign)
            after = slope + 2 * first_signs[:, None] * hessian[first]
            pair = (curvature[first] + first_signs * slope[first])[:, None] + curvature - np.abs(after)
            pair[np.arange(len(first)), first] = np.inf
            one, other = np.unravel_index(pair.argmin(), pair.shape)
            if pair[one, other] < best:
                best, chosen = float(pair[one, other]), [int(first[one]), int(other)]
                signs = [float(first_signs[one]), -1.0 if after[one, other] > 0 else 1.0]
        if best >= 0:
            break
        for index, sign in zip(chosen, signs, strict=True):
            moves[index] += sign
            slope += 2 * sign * hessian[index]
    return moves
