"""What the decoder must know of a signal besides its network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.fields import check_fields, with_defaults
from quinr_pl.signals.drawing import Picture
from quinr_pl.signals.intensity import Intensities, Intensity
from quinr_pl.signals.kind import Attributes, SignalKind
from quinr_pl.signals.motion import Motion, MovedView
from quinr_pl.signals.scanner import Points, Scanner

MOST_AXES = 8
"""Of a signal in a file."""


@dataclass(frozen=True)
class SignalSpec:
    """Shape and range of a signal: the bridge between its values and targets in [0, 1].

    Args:
        kind: What the values are.
        shape: Size of each axis, the channels' left out.
        channels: Values at each pixel.
        low: The value that target 0 stands for.
        high: The value that target 1 stands for.
        mask: Of the shape: False where there is no value, which the file then says, so that the network need
            not. None: values alone say it.
        scanner: Rays of a range image's pixels, which the file then holds. None: they are not known.
        intensity: What the second channel of a range image tells, with values between ``low`` and ``high`` as
            those of the first. None: it has no such channel.
        attributes: What the kind's fields say of the signal, by name; completed by their defaults.
        reference: The frame that this one, of a file of several, is told by; None: it stands for itself.
        motion: How the scanner has moved since then. Values are then added to what that frame shows from
            where the scanner is now. None: integers are added to that frame's.

    Raises:
        QuinrError: If the kind has no such shape or range, or mask, scanner or intensity do not belong to the
            signal.
    """

    kind: SignalKind
    shape: tuple[int, ...]
    channels: int
    low: float
    high: float
    mask: npt.NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)
    scanner: Scanner | None = field(default=None, compare=False, repr=False)
    intensity: Intensity | None = field(default=None, compare=False, repr=False)
    attributes: Attributes = field(default_factory=dict, hash=False)
    reference: ReferenceFrame | None = field(default=None, compare=False, repr=False)
    motion: Motion | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        sizes = (*self.shape, self.channels)
        if min(sizes) < 1:
            raise QuinrError(f"signal shape {sizes}: every size must be at least 1")
        attributes = with_defaults(self.kind.FIELDS, self.attributes)
        check_fields(self.kind.FIELDS, attributes, self.kind.name)
        object.__setattr__(self, "attributes", attributes)
        self.kind.check_shape(self.shape)
        self.kind.check_range(self.low, self.high, attributes)
        if self.scanner is not None and not (
            self.kind.scanned and len(self.scanner.elevations) == self.shape[0]
        ):
            rows = len(self.scanner.elevations)
            raise QuinrError(f"scanner of {rows} beams: does not belong to {self.kind.name} of {self.shape}")
        if self.intensity is not None and not (self.kind.scanned and self.channels == 2):
            raise QuinrError(f"intensity: does not belong to {self.kind.name} of {self.channels} channels")
        if self.mask is None:
            return
        if not self.kind.masked or self.mask.shape != self.shape:
            raise QuinrError(
                f"mask of shape {self.mask.shape}: does not belong to {self.kind.name} of {self.shape}"
            )
        if not self.mask.any():
            raise QuinrError("mask without a single return: there is nothing to compress")

    @classmethod
    def of(
        cls,
        kind: SignalKind,
        values: npt.NDArray,
        interval: tuple[float, float] | None = None,
        attributes: Attributes | None = None,
    ) -> SignalSpec:
        """The spec of some values.

        Args:
            kind: What they are.
            values: Values of the signal, (*shape, channels).
            interval: The values that targets 0 and 1 stand for; the kind's usual ones when left out.
            attributes: Of the signal; those that are left out have their defaults.
        """
        *shape, channels = values.shape
        low, high = interval or kind.usual_range
        return cls(kind, tuple(shape), channels, low, high, attributes=attributes or {})

    def following(self, reference: ReferenceFrame) -> SignalSpec | None:
        """This spec as that of a frame that is told by another; None if it has to stand for itself.

        It takes over what all frames share: the range, if its own lies within, and the rays of the scanner,
        whose estimates differ from scan to scan by less than the scanner does.
        """
        before = reference.spec
        alike = self._shared() == before._shared() and before.low <= self.low and self.high <= before.high
        if not alike:
            return None
        return replace(self, low=before.low, high=before.high, scanner=before.scanner, reference=reference)

    def predicted(self) -> npt.NDArray[np.float32]:
        """Targets that the frame before gives for this one, which has a motion: (pixels, channels)."""
        assert self.motion is not None, "the scanner has moved"
        assert self.scanner is not None, "what has a motion has a scanner"
        view, motion = MovedView(self.scanner, self.shape[1]), self.motion
        values, _ = view(self.values_before(), motion.radians, motion.metres, self.low, self.high)
        return self.normalize(values).reshape(self.pixels, self.channels)

    def values_before(self) -> npt.NDArray[np.float64]:
        """What the frame before has at all pixels, whatever its mask says: (*shape, channels)."""
        assert self.reference is not None, "the frame is told by another"
        assert self.reference.targets is not None, "whose values tell something"
        values = self.denormalize(self.reference.targets())
        return values.reshape(*self.shape, self.channels).astype(np.float64)

    def _shared(self) -> tuple[Any, ...]:
        """What has to be the same in a frame and in one that is told by it."""
        sector = None if self.scanner is None else (self.scanner.start, self.scanner.turn)
        return self.kind, self.shape, self.channels, self.attributes, self.mask is None, sector

    @property
    def pixels(self) -> int:
        """Number of coordinates."""
        return math.prod(self.shape)

    @property
    def value_bytes(self) -> int:
        """Bytes that the decoded values take as an array."""
        return self.pixels * self.channels * self.dtype.itemsize

    @property
    def dtype(self) -> np.dtype:
        """Of the decoded values."""
        return self.kind.value_type(self.attributes)

    @property
    def peak(self) -> float:
        """The peak of the peak signal-to-noise ratio, in the units of the values."""
        return self.high - self.low

    def normalize(self, values: npt.NDArray) -> npt.NDArray[np.float32]:
        """Targets in [0, 1] of values of any shape."""
        return ((values.astype(np.float64) - self.low) / (self.high - self.low)).astype(np.float32)

    def denormalize(self, targets: npt.NDArray) -> npt.NDArray:
        """Values of targets: clamped to the range, and rounded where they have a spacing.

        Returns:
            An array of the same shape, of the signal's dtype.
        """
        clamped = np.clip(targets.astype(np.float64), 0.0, 1.0)
        values = self.low + clamped * (self.high - self.low)
        spacing = self.kind.spacing(self.attributes)
        if spacing is not None:
            values = np.rint(values / spacing) * spacing
        return values.astype(self.dtype)

    def masked(self, values: npt.NDArray) -> npt.NDArray:
        """Values of all pixels, (*shape, channels), with 0 where the mask says that there is none."""
        if self.mask is None:
            return values
        return np.where(self.mask[..., None], values, values.dtype.type(0))

    def points(self, values: npt.NDArray) -> Points | None:
        """Points of values, (*shape, channels), where there is a return; None without a scanner."""
        if self.scanner is None:
            return None
        ranges = values[..., 0]
        return self.scanner.points(ranges, self.scanner.are_points(ranges))

    def intensities(self, values: npt.NDArray) -> Intensities | None:
        """Intensity of each of the ``points`` of values; None where there are none."""
        if self.scanner is None or self.intensity is None:
            return None
        targets = self.normalize(values[..., 1])
        of_pixels = self.intensity.of_targets(targets[self.scanner.are_points(values[..., 0])])
        return of_pixels.repeat(self.scanner.firings)

    def picture(self, values: npt.NDArray) -> Picture:
        """Values, (*shape, channels), as their kind draws them: (rows, columns, 3) uint8."""
        return self.kind.draw(self.normalize(values))

    def error_picture(self, values: npt.NDArray, decoded: npt.NDArray) -> Picture:
        """How far decoded values are from a signal's, as their kind draws it: (rows, columns, 3) uint8."""
        error = np.abs(self.normalize(values) - self.normalize(decoded)).mean(axis=-1)
        return self.kind.draw_error(error)

    def counted_pixels(self) -> npt.NDArray[np.int64]:
        """Indices of the pixels whose values the network gives: all but those that the mask leaves out."""
        return np.arange(self.pixels) if self.mask is None else np.flatnonzero(self.mask)

    def sample_pixels(self, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
        """Random ones of them without repetition: (at most count,)."""
        return np.random.default_rng(seed).permutation(self.counted_pixels())[:count]


@dataclass(frozen=True)
class ReferenceFrame:
    """What the decoder knows by the time it comes to a frame that is told by another.

    Args:
        spec: The other frame's signal, its mask and its scanner.
        quantized: Levels and integers of the other frame's network: a ``QuantizedNetwork`` of
            `quinr_pl.codec.quantized`.
        targets: Computes its values in [0, 1], (pixels, channels), also where its mask leaves them out. None:
            they tell nothing of the next frame's.
        anew: Whether the next frame's integers stand for themselves, and are not added to the other's.
    """

    spec: SignalSpec
    quantized: Any
    targets: Callable[[], npt.NDArray[np.float32]] | None = None
    anew: bool = False
