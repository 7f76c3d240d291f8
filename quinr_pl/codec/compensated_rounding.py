"""Rounding after training that lets later weights make up for the rounding errors of earlier ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor

from quinr_pl.codec.curvature import gauss_newton, sample_coordinates
from quinr_pl.codec.encoder import encode
from quinr_pl.codec.entropy_coding import LARGEST_LEVEL
from quinr_pl.codec.quantization import (
    QuantizationConfig,
    QuantizedNetwork,
    QuantizedTensor,
    layers,
    least_code,
    nearest_code,
    reduced_parameters,
    step_size,
)
from quinr_pl.network import CoordinateNetwork
from quinr_pl.signal import SignalSpec

Floats = npt.NDArray[np.float64]
LARGEST_GROUP = 4096
"""Weights that one curvature matrix holds at most."""
_ROUNDS = 8


def compensated_levels(
    values: Floats, steps: Floats, hessian: Floats, damping: float, rounded: int | None = None
) -> Floats:
    """Round weights one after another, and move those still to come so that the error grows least.

    The optimal-brain-surgeon update as in GPTQ (Frantar et al. 2022), which is Babai's nearest plane in
    the lattice of levels under the quadratic form of the Hessian.

    Args:
        values: Weights, (n,).
        steps: Step size of each, (n,).
        hessian: Curvature of the error in the weights, (n, n).
        damping: Added to its diagonal, in units of the mean curvature of a step: what keeps weights that
            the sample hardly sees from running away.
        rounded: How many weights to round, the first ones; all when left out.

    Returns:
        Integers as floats for rounded weights, moved weights in units of their steps for others, (n,).
    """
    count = len(values) if rounded is None else rounded
    curvature = hessian * steps[:, None] * steps
    curvature += damping * curvature.diagonal().mean() * np.eye(len(values)) + 1e-30 * np.eye(len(values))
    order = np.argsort(-curvature.diagonal()[:count], kind="stable")
    order = np.concatenate([order, np.arange(count, len(values))])
    update = np.linalg.cholesky(np.linalg.inv(curvature[order][:, order])).T
    result = (values / steps)[order]
    for index in range(count):
        level = np.clip(np.rint(result[index]), -LARGEST_LEVEL, LARGEST_LEVEL)
        error = result[index] - level
        result[index:] -= error / update[index, index] * update[index, index:]
        result[index] = level
    return result[np.argsort(order)]


class CompensatedQuantizer:
    """Quantizes one trained network at any rate; what doesn't depend on the rate is computed once.

    Step sizes are inversely proportional to the root of a layer's mean curvature, which at high rate
    makes the error smallest at a given size; so one scale moves all of them.

    Args:
        network: A trained network.
        spec: The signal, whose grid gives the sample of coordinates.
        config: ``points``, ``damping`` and ``seed`` are used here.
    """

    def __init__(self, network: CoordinateNetwork, spec: SignalSpec, config: QuantizationConfig) -> None:
        self._network = network
        self._spec = spec
        self._damping = config.damping
        self._values = reduced_parameters(network)
        groups = _groups(self._values)
        largest = max(sum(self._values[name].numel() for name in group) for group in groups)
        points = sample_coordinates(spec, min(config.points, max(512, 4 * largest)), config.seed)
        self._groups = [(group, gauss_newton(network, group, points)) for group in groups]

    def quantize(self, scale: float) -> QuantizedNetwork:
        """Levels and steps at a scale: twice the scale saves about a bit for each weight."""
        tensors: dict[str, QuantizedTensor] = {}
        for names, hessian in self._groups:
            tensors |= self._quantize_group(names, hessian, scale)
        return QuantizedNetwork(self._network, {name: tensors[name] for name in self._values})

    def _quantize_group(self, names: list[str], hessian: Floats, scale: float) -> dict[str, QuantizedTensor]:
        sizes = [self._values[name].numel() for name in names]
        bounds = np.cumsum(sizes)[:-1]
        curvatures = dict(zip(names, np.split(hessian.diagonal(), bounds), strict=True))
        codes: dict[str, int] = {}
        for layer in layers(names).values():
            curvature = np.concatenate([curvatures[name] for name in layer]).mean()
            code = nearest_code(scale / math.sqrt(curvature + 1e-12))
            codes |= dict.fromkeys(layer, max(code, least_code(self._values[name] for name in layer)))
        values = np.concatenate([self._values[name].numpy().astype(np.float64).ravel() for name in names])
        steps = np.repeat([step_size(codes[name]) for name in names], sizes)
        levels = compensated_levels(values, steps, hessian, self._damping)
        return {
            name: QuantizedTensor(part.astype(np.int64).reshape(self._values[name].shape), codes[name])
            for name, part in zip(names, np.split(levels, bounds), strict=True)
        }

    def at_size(self, most_bytes: float) -> QuantizedNetwork:
        """The finest levels whose file takes at most so many bytes, as far as a few trials find them.

        If no step size makes the file that small, the smallest one tried comes back.
        """
        parameters = self._network.parameter_count()
        octave, best, smallest = -9.0, None, None
        exceeds, fits = -math.inf, math.inf  # logarithms of the scales nearest to the mark on either side
        for _ in range(_ROUNDS):
            quantized = self.quantize(2.0**octave)
            size = len(encode(quantized, self._spec).data)
            if smallest is None or size < smallest[0]:
                smallest = (size, quantized)
            if size > most_bytes:
                exceeds = octave
            else:
                fits = octave
                if best is None or size > best[0]:
                    best = (size, quantized)
                if size >= most_bytes - max(1.0, 0.005 * most_bytes):
                    break
            # Aim a little below the mark: a file above it doesn't count.
            octave += float(np.clip(8 * (size - 0.998 * most_bytes) / parameters, -3, 3))
            if not exceeds < octave < fits:
                octave = (exceeds + fits) / 2
        return (best or smallest)[1]  # type: ignore[index]


def _groups(values: dict[str, Tensor]) -> list[list[str]]:
    """Consecutive layers whose weights are few enough for one matrix; larger layers stand alone."""
    groups: list[list[str]] = []
    size = LARGEST_GROUP + 1
    for names in layers(values).values():
        more = sum(values[name].numel() for name in names)
        if size + more > LARGEST_GROUP:
            groups.append([])
            size = 0
        groups[-1] += names
        size += more
    return groups


def quantize_compensated(
    network: CoordinateNetwork, spec: SignalSpec, config: QuantizationConfig
) -> QuantizedNetwork:
    """Quantize a trained network so that its file has ``config.rate`` bits for each weight at most."""
    quantizer = CompensatedQuantizer(network, spec, config)
    return quantizer.at_size(config.rate * network.parameter_count() / 8)
