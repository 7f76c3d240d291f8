"""What a file may ask of the decoder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.network.cost import Cost
from quinr_pl.signals import SignalSpec


@dataclass(frozen=True)
class DecodeLimits:
    """What a file may ask of the decoder.

    The defaults are what one core of a desktop does in about ten seconds and in 2 GiB, for a picture of at
    most 4 megapixels; larger ones may take more by their pixels.

    Args:
        file_bytes: Size of the file.
        pixels: Product of the sizes of the axes, of all frames together.
        memory: Bytes that decoding holds at a time, the result included.
        operations: Work by the count of docs/format.md, whatever the size of the signal.
        pixel_operations: The same for each pixel; the larger of both counts.
        frames: Of a file of several, each of which may ask for as much memory and operations as one alone.
    """

    file_bytes: float = 1 << 26
    pixels: float = 1 << 27
    memory: float = 3 << 29
    operations: float = 2.2e11
    pixel_operations: float = 60_000
    frames: float = 1 << 14

    def scaled(self, factor: float) -> DecodeLimits:
        """Limits so many times as high; ``math.inf`` allows everything."""
        return DecodeLimits(**{name: factor * value for name, value in asdict(self).items()})

    def check_file(self, data: bytes) -> None:
        """Refuses a file that is too long.

        Raises:
            BitstreamError: In one line.
        """
        if len(data) > self.file_bytes:
            # Who read it may have stopped here: how long it is nobody knows.
            raise BitstreamError(
                f"the file is longer than the {self.file_bytes:.0f} bytes that the decoder allows; {_REMEDY}"
            )

    def check(self, spec: SignalSpec, cost: Cost) -> None:
        """Refuses what a file asks for.

        Raises:
            BitstreamError: In one line.
        """
        _check(self._demands(spec, cost))

    def check_frames(self, frames: int, pixels: int) -> None:
        """Refuses what a file asks for in all of its frames.

        Raises:
            BitstreamError: In one line.
        """
        _check((("frames", frames, self.frames), ("pixels", pixels, self.pixels)))

    def factor(self, spec: SignalSpec, cost: Cost) -> float:
        """For ``scaled``: the smallest factor, 1 or more, with which that passes."""
        return max(1.0, *(value / limit for _, value, limit in self._demands(spec, cost)))

    def _demands(self, spec: SignalSpec, cost: Cost) -> tuple[tuple[str, float, float], ...]:
        """What is counted, how much of it is asked for, and how much is allowed."""
        operations = max(self.operations, self.pixel_operations * spec.pixels)
        return (
            ("pixels", spec.pixels, self.pixels),
            ("bytes of memory", cost.memory, self.memory),
            ("operations", cost.operations, operations),
        )


def _check(demands: Iterable[tuple[str, float, float]]) -> None:
    for what, value, limit in demands:
        if value > limit:
            raise BitstreamError(
                f"the file asks for {value:.3g} {what}; the decoder allows {limit:.3g}; "
                f"{_REMEDY} {1.01 * value / limit:.3g}"
            )


UNLIMITED = DecodeLimits().scaled(math.inf)
"""For files of one's own."""
_REMEDY = "if you trust it, raise the limits: --limits"
