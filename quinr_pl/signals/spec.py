"""What the decoder must know of a signal besides its network, and the grid of coordinates it lives on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch

from quinr_pl.errors import QuinrError


class SignalKind(IntEnum):
    """What the values of a signal are. The numbers are those of the file format."""

    IMAGE_8 = 0
    """Integers from 0 to 255."""
    IMAGE_16 = 1
    """Integers from 0 to 65535."""
    RANGE_IMAGE = 2
    """Metres from 0 (no return) to the peak."""
    ARRAY = 3
    """Real numbers in any interval."""

    @property
    def is_image(self) -> bool:
        """Whether the values are integers that a picture file holds."""
        return self in (SignalKind.IMAGE_8, SignalKind.IMAGE_16)


_IMAGE_PEAK = {SignalKind.IMAGE_8: 255.0, SignalKind.IMAGE_16: 65535.0}
_IMAGE_DTYPE = {SignalKind.IMAGE_8: np.uint8, SignalKind.IMAGE_16: np.uint16}


@dataclass(frozen=True)
class SignalSpec:
    """Shape and range of a signal: the bridge between its values and targets in [0, 1].

    Args:
        kind: What the values are.
        height: Rows.
        width: Columns.
        channels: Values at each pixel.
        low: The value that target 0 stands for.
        high: The value that target 1 stands for.
        returns: Mask of a range image, (height, width): False where there is no return, which the file then
            says, so that the network need not. None: values alone say it.

    Raises:
        QuinrError: If a size is below 1, the interval is empty, not finite or more than an image's
            integers hold, or the mask does not belong to the signal.
    """

    kind: SignalKind
    height: int
    width: int
    channels: int
    low: float
    high: float
    returns: npt.NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.channels) < 1:
            shape = (self.height, self.width, self.channels)
            raise QuinrError(f"signal shape {shape}: height, width and channels must be at least 1")
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.high > self.low):
            raise QuinrError(f"signal range [{self.low}, {self.high}]: needs finite low < high")
        if self.kind == SignalKind.RANGE_IMAGE and self.low < 0:
            raise QuinrError(f"signal range [{self.low}, {self.high}]: ranges in metres are not negative")
        if self.kind.is_image and not (self.low >= 0 and self.high <= _IMAGE_PEAK[self.kind]):
            peak = _IMAGE_PEAK[self.kind]
            raise QuinrError(f"signal range [{self.low}, {self.high}]: an image's lies within [0, {peak:g}]")
        if self.returns is not None:
            if self.kind != SignalKind.RANGE_IMAGE or self.returns.shape != (self.height, self.width):
                raise QuinrError(
                    f"mask of shape {self.returns.shape}: needs a range image of that shape, not "
                    f"{self.kind.name.lower()} of {(self.height, self.width)}"
                )
            if not self.returns.any():
                raise QuinrError("mask without a single return: there is nothing to compress")

    @classmethod
    def of_image(cls, values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> SignalSpec:
        """The spec of an image, (height, width, channels), whose dtype gives the bit depth."""
        kind = SignalKind.IMAGE_8 if values.dtype == np.uint8 else SignalKind.IMAGE_16
        height, width, channels = values.shape
        return cls(kind, height, width, channels, low=0.0, high=_IMAGE_PEAK[kind])

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis, the channels' left out."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Number of coordinates."""
        return self.height * self.width

    @property
    def dtype(self) -> np.dtype:
        """Of the values: uint8 or uint16 for images, float32 otherwise."""
        return np.dtype(_IMAGE_DTYPE[self.kind] if self.kind.is_image else np.float32)

    @property
    def peak(self) -> float:
        """The peak of the peak signal-to-noise ratio, in the units of the values."""
        return self.high - self.low

    def normalize(self, values: npt.NDArray) -> npt.NDArray[np.float32]:
        """Targets in [0, 1] of values of any shape."""
        return ((values.astype(np.float64) - self.low) / (self.high - self.low)).astype(np.float32)

    def denormalize(self, targets: npt.NDArray) -> npt.NDArray:
        """Values of targets: clamped to the range, and rounded to integers for images.

        Returns:
            An array of the same shape: uint8 or uint16 for images, float32 otherwise.
        """
        clamped = np.clip(targets.astype(np.float64), 0.0, 1.0)
        values = self.low + clamped * (self.high - self.low)
        if self.kind.is_image:
            values = np.rint(values)
        return values.astype(self.dtype)

    def without_returns(self, values: npt.NDArray) -> npt.NDArray:
        """Values of all pixels, (height, width, channels), with 0 where the mask says that there is none."""
        if self.returns is None:
            return values
        return np.where(self.returns[:, :, None], values, values.dtype.type(0))

    def counted_pixels(self) -> npt.NDArray[np.int64]:
        """Indices of the pixels whose values the network gives: all but those without a return."""
        return np.arange(self.pixels) if self.returns is None else np.flatnonzero(self.returns)

    def sample_pixels(self, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
        """Random ones of them without repetition: (at most count,)."""
        return np.random.default_rng(seed).permutation(self.counted_pixels())[:count]


def coordinates(height: int, width: int, start: int = 0, stop: int | None = None) -> torch.Tensor:
    """Coordinates of the pixels ``start`` to ``stop`` in row-major order.

    Both axes run over [-1, 1], first and last pixel included; an axis of one pixel lies at 0.

    Args:
        height: Rows of the grid.
        width: Columns of the grid.
        start: First pixel.
        stop: One past the last pixel; all when left out.

    Returns:
        float32 tensor of shape (stop - start, 2): row coordinate, then column coordinate. A slice has
        exactly the values that the whole grid has there.
    """
    pixel = torch.arange(start, height * width if stop is None else stop)
    row, column = pixel // width, pixel % width

    def axis(index: torch.Tensor, size: int) -> torch.Tensor:
        return (2.0 * index.double() / max(size - 1, 1) - (1.0 if size > 1 else 0.0)).float()

    return torch.stack([axis(row, height), axis(column, width)], dim=1)
