"""COIN as files and the decoder know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from quinr_pl.fields import Field, Integer, Real
from quinr_pl.network.cost import LAYER, SINE, NetworkCost, sine_layers_weights
from quinr_pl.network.decoders.layers import (
    from_log_scale,
    layer_shapes,
    linear,
    sine_layer_shapes,
    sines,
)
from quinr_pl.network.decoders.protocol import (
    LOG_RANGE,
    Decoder,
    Floats,
    NetworkFormat,
    Reconstruction,
    Shape,
    Values,
)
from quinr_pl.signals import MOST_AXES, coordinate_values


class COINFormat(NetworkFormat):
    """Arguments of COIN in files, and their cost."""

    CODE = 1
    FIELDS: ClassVar[Mapping[str, Field]] = {
        "layers": Integer(1, 64),
        "width": Integer(1, 2048),
        "omega0": Real(30.0),
        "in_features": Integer(1, MOST_AXES, 2),
        "log_range": LOG_RANGE,
    }

    @classmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        """What decoding takes; see `NetworkFormat.cost`."""
        layers, width, channels = (architecture[name] for name in ("layers", "width", "out_features"))
        parameters = sine_layers_weights(architecture["in_features"], layers, width) + channels * (width + 1)
        operations = parameters + layers * (LAYER + SINE * width)
        return NetworkCost(parameters, 2 * layers + 2, operations, 4 * width + 8 * channels + 8)


class COINDecoder(COINFormat, Decoder):
    """See quinr_pl.network.coin.COIN."""

    NETWORK = "COIN"

    def weight_shapes(self) -> dict[str, Shape]:
        """See NetworkFormat."""
        arguments: Mapping[str, Any] = self._architecture
        width = arguments["width"]
        hidden = sine_layer_shapes("hidden", arguments["in_features"], arguments["layers"], width)
        return hidden | layer_shapes("output", width, arguments["out_features"])

    def reconstruction(self, values: Values) -> Reconstruction:
        """See NetworkFormat."""
        arguments: Mapping[str, Any] = self._architecture

        def signal(start: int, stop: int, shape: Shape) -> Floats:
            features = coordinate_values(shape, start, stop)
            for layer in range(arguments["layers"]):
                features = sines(values, f"hidden.{layer}", features, arguments["omega0"])
            return from_log_scale(linear(values, "output", features), arguments["log_range"])

        return signal
