"""What a way of rounding offers to the codec: its options, whom it serves, and the levels it comes to."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from quinr_pl.codec.quantized import QuantizedNetwork
from quinr_pl.errors import QuinrError
from quinr_pl.network import Network
from quinr_pl.signals import SignalSpec

Progress = Callable[[str, int, int], None]
"""Told what is done at the time, and how many parts of it are done out of how many."""


def untold(what: str, done: int, total: int) -> None:
    """Progress that nobody wants to know."""


@dataclass(frozen=True)
class Rounding(ABC):
    """A way of rounding trained weights to levels, with its options.

    Each way is a frozen dataclass. Its fields are the options that configs set, each with a default, and
    checked where they are made: a QuinrError begins with the name of the option, which the flag or key of the
    user's then goes before. Configs know it by its line in the registry, or by its import path.

    Attributes:
        method: Its name in configs.
        duration: About what share of a fit's time it takes, for the bar that shows progress.
    """

    method: ClassVar[str]
    duration: ClassVar[float] = 0.02

    @abstractmethod
    def quantize(
        self, network: Network, spec: SignalSpec, targets: Tensor | None = None, progress: Progress = untold
    ) -> QuantizedNetwork:
        """Round a trained network.

        Args:
            network: Weights in single precision; it is not changed.
            spec: Shape, kind and range of the signal.
            targets: Its values in [0, 1], (pixels, channels), in row-major order; None is for those that do
                not need them.
            progress: Told how far the rounding is.

        Raises:
            QuinrError: If a weight is not finite, or targets are missing or do not fit the signal.
        """

    def within(self, most_bytes: int | None, least_psnr: float | None) -> Rounding:
        """The same way, for a file of at most so many bytes or at least so many dB, if it can keep to that.

        Args:
            most_bytes: Of the whole file; None for any number.
            least_psnr: Of what is decoded; None for any quality.
        """
        return self

    def check(self, network: Network) -> None:  # noqa: B027 - most serve every network
        """Refuse a network that this way of rounding cannot serve, before it is trained.

        Raises:
            QuinrError: In one line, with a method that can.
        """

    def require_targets(self, spec: SignalSpec, targets: Tensor | None) -> Tensor:
        """The targets, if they are those of the signal.

        Raises:
            QuinrError: If they are missing or of another shape.
        """
        if targets is None:
            raise QuinrError(f"quantization method {self.method}: needs the signal's targets")
        if tuple(targets.shape) != (spec.pixels, spec.channels):
            raise QuinrError(f"targets of shape {tuple(targets.shape)}: need {(spec.pixels, spec.channels)}")
        return targets


def check_positive(**options: float) -> None:
    """Refuse options that are not positive and finite.

    Raises:
        QuinrError: That names the option and its value.
    """
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise QuinrError(f"{name} {value}: must be positive and finite")
