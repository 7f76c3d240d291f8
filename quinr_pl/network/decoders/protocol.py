"""What a file says of a network, and what the decoder asks of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from quinr_pl.fields import Field, Integer, Value, check_fields, require_at_least
from quinr_pl.network.cost import NetworkCost
from quinr_pl.network.latent.context_shape import ContextShape
from quinr_pl.signals import SignalSpec

LOG_RANGE = Integer(0, 16, 0)
"""Nats of a logarithmic scale: single precision bears no more."""

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]
Values = Mapping[str, Floats]
"""Weights and integers by name, as a file has them."""
Reconstruction = Callable[[int, int, Shape], Floats]
"""From the first pixel of a block in row-major order, the one past its last and the size of each axis of the
signal to the block's values, (pixels, out_features), in [0, 1] and not clamped."""

Format = TypeVar("Format", bound="NetworkFormat")


def layers(names: Iterable[str]) -> dict[str, list[str]]:
    """Parameters by layer: those that share all of their name but its last part."""
    result: dict[str, list[str]] = {}
    for name in names:
        result.setdefault(name.rpartition(".")[0], []).append(name)
    return result


class NetworkFormat(ABC):
    """A network as a file describes it: the code of its class, and the arguments of its constructor.

    Args:
        architecture: The constructor's arguments that determine the function, by name: one for each field,
            and those of ``signal_arguments``.

    Raises:
        QuinrError: If one is out of range.

    Attributes:
        CODE: The class's number in files, up to 255; those from 128 on are free for other packages.
        FIELDS: The constructor's arguments that a file holds, each with its bounds. Those with a default come
            in the order of their bits in the file's presence mask, the ones most often changed first.
    """

    CODE: ClassVar[int]
    FIELDS: ClassVar[Mapping[str, Field]]

    def __init__(self, **architecture: Value) -> None:
        super().__init__()
        check_fields(self.FIELDS, architecture, "--model.network")
        sizes = architecture.keys() - self.FIELDS.keys()
        require_at_least(1, {f"--model.network.{name}": int(architecture[name]) for name in sizes})
        self._architecture = architecture

    @classmethod
    def network_name(cls) -> str:
        """Name of the network's class, for people."""
        return cls.__name__

    @classmethod
    def signal_arguments(cls, spec: SignalSpec) -> dict[str, int]:
        """The constructor's arguments that follow from the signal: the numbers of its axes and channels.

        Raises:
            QuinrError: If the class takes no such signal.
        """
        return {"in_features": len(spec.shape), "out_features": spec.channels}

    @classmethod
    @abstractmethod
    def cost(cls, architecture: Mapping[str, Any]) -> NetworkCost:
        """What a network costs the decoder, told from its arguments alone, before it is built.

        Args:
            architecture: As ``architecture`` returns it, each argument within its bounds.
        """

    @classmethod
    def outline(cls: type[Format], architecture: Mapping[str, Value]) -> Format:
        """The network of some arguments, without values.

        Raises:
            QuinrError: If it refuses them.
        """
        return cls(**architecture)

    def architecture(self) -> dict[str, Value]:
        """The constructor's arguments that determine the function: what a file must hold besides weights.

        ``type(network)(**network.architecture())`` has the same parameters, by name and shape, and with
        equal weights computes the same values. Where and how it runs (the engine) is no part of it.
        """
        return dict(self._architecture)

    @abstractmethod
    def weight_shapes(self) -> dict[str, Shape]:
        """Shapes of the parameters that a file holds rounded to multiples of a step size, in its order."""

    def integer_shapes(self) -> dict[str, Shape]:
        """Shapes of the parameters that a file holds rounded to integers (latents); none by default."""
        return {}

    def context_shape(self) -> ContextShape | None:
        """The model that prices the integers in the file's section of latents; None without that section."""
        return None

    def parameter_count(self) -> int:
        """Number of weights that a file holds."""
        return sum(map(math.prod, self.weight_shapes().values()))

    @abstractmethod
    def reconstruction(self, values: Values) -> Reconstruction:
        """What computes the signal of a file.

        Args:
            values: Of all weights and integers.

        Raises:
            QuinrError: If the network has more parts than the file has values for.
        """


class Decoder(NetworkFormat):
    """The decoder of a network by NumPy and kernels.

    Attributes:
        NETWORK: Name of the network's class.
    """

    NETWORK: ClassVar[str]

    @classmethod
    def network_name(cls) -> str:
        """Name of the network's class, for people."""
        return cls.NETWORK
