"""Weights of a frame that is told by another, moved from the other's levels where they are far from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec.arrays import Floats
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL, coded_bits
from quinr_pl.codec.quantized import QuantizedNetwork, QuantizedTensor, level_differences
from quinr_pl.codec.rounding.downhill import lowest
from quinr_pl.codec.rounding.levels import reduce_period, reduced_parameters, rounded_integers
from quinr_pl.codec.rounding.objectives import objective_of
from quinr_pl.codec.rounding.protocol import Progress
from quinr_pl.network import Network
from quinr_pl.network.base import layers
from quinr_pl.network.layers.quantum_layer import fast_copy
from quinr_pl.signals import SignalSpec

_DEAD_ZONES = (0.5, 0.7, 1.0, 1.5, np.inf)
"""How many steps a weight has to be away from the other frame's level until it takes the first one.

With a half each goes to its nearest level, with infinity all stay.
"""


class DeadZoneQuantizer:
    """Rounds one frame at any price of a bit, at the step sizes of the other frame, layer after layer.

    Args:
        network: A trained network.
        spec: Shape, kind and range of the frame; ``spec.reference`` is the other one.
        targets: Its values in [0, 1], (pixels, channels); NaN where any value will do.
    """

    def __init__(self, network: Network, spec: SignalSpec, targets: Tensor) -> None:
        assert spec.reference is not None, "the frame is told by another"
        self._original, self._values = network, reduced_parameters(network)
        self._before: Mapping[str, QuantizedTensor] = spec.reference.quantized.tensors
        self._periods = network.parameter_periods()
        self._network = fast_copy(network).to("cpu").eval().requires_grad_(False)
        self._objectives = {
            layer: objective_of(self._network, names, spec, targets)
            for layer, names in layers(self._values).items()
        }

    def at_price(self, price: float, progress: Progress) -> QuantizedNetwork:
        """The network with the dead zones of the least error plus priced bits.

        Args:
            price: Mean squared error that a bit is worth.
            progress: Told before each layer.
        """
        grouped = layers(self._values)
        tensors: dict[str, QuantizedTensor] = {}
        for number, (layer, names) in enumerate(grouped.items()):
            progress("rounding", number, len(grouped))
            tensors |= self._best(layer, names, price)
        ordered = {name: tensors[name] for name in self._values}
        return QuantizedNetwork(self._original, ordered, rounded_integers(self._original))

    def _best(self, layer: str, names: list[str], price: float) -> dict[str, QuantizedTensor]:
        """The layer with the dead zone that costs least at a price of a bit, also put into the network."""
        objective = self._objectives[layer]
        worth = price if objective.of_bits else 1.0

        def cost(number: int) -> float:
            bits = coded_bits(level_differences(self._put(names, number), self._before))
            return worth * objective.value() + price * bits

        return self._put(names, lowest(cost, range(len(_DEAD_ZONES))))

    @torch.no_grad()
    def _put(self, names: list[str], number: int) -> dict[str, QuantizedTensor]:
        """A layer with one of the dead zones, also put into the network."""
        weights = self._network.weights()
        tensors = {name: self._moved(name, _DEAD_ZONES[number]) for name in names}
        for name, tensor in tensors.items():
            weights[name].copy_(tensor.dequantize())
        return tensors

    def _moved(self, name: str, zone: float) -> QuantizedTensor:
        """Weights moved from the other frame's levels."""
        before = self._before[name]
        difference = reduce_period(self._values[name] - before.dequantize(), self._periods.get(name))
        away = difference.numpy().astype(np.float64) / before.steps
        steps: Floats = np.floor(np.maximum(np.abs(away) + 1 - zone, 0)) if np.isfinite(zone) else 0 * away
        levels = before.levels + (np.sign(away) * steps).astype(np.int64)
        return QuantizedTensor(np.clip(levels, -LARGEST_LEVEL, LARGEST_LEVEL), before.codes)
