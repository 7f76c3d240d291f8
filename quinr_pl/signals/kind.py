"""What all signals of a kind have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError
from quinr_pl.fields import Attribute, Field
from quinr_pl.signals.drawing import Picture, false_colours

_ERROR_SCALE = 0.25  # of the range: what error has the brightest colour


Attributes = Mapping[str, Attribute]
"""What a signal has beyond values and range, by the names of its kind's ``FIELDS``."""


@dataclass(frozen=True)
class FileContent:
    """What a kind reads from a file.

    Args:
        values: (*shape, channels), in the type that they were given in.
        interval: The values that targets 0 and 1 stand for.
        attributes: Of the signal; those that are left out have their defaults.
    """

    values: npt.NDArray
    interval: tuple[float, float]
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class SignalKind:
    """A kind of signal: its axes and values, and how it is read, written, drawn and measured.

    Another kind is an instance of this class, or of a subclass whose methods say what differs, registered in
    ``quinr_pl.signals.KINDS`` under its code.

    Args:
        code: Its number in files. 0 to 6 are this package's; others choose one from 7 on.
        name: In figures and messages.
        axes: Names of the axes, the channels' left out; None for any number of any axes.
        dtype: Of decoded values, as NumPy names it, where attributes do not say another one. Integers are
            rounded to, and the range is theirs.
        usual_range: The values that targets 0 and 1 stand for where a file does not say.
        masked: Whether a file may say at which coordinates there is no value.
        suffixes: Of the files that a decoded signal is written to, the usual one first.
        read_suffixes: Of the files that ``read`` reads. Pictures, arrays and scans are left to
            ``quinr_pl.datamodules.ImageDataModule``, whose settings say how.
        scanned: Whether a file may hold the rays of a scanner, which make points of the first channel.
        unit: What a value of each channel together is called, in messages: rates are bits for each of them.
        signatures: Of files that ``read`` reads, where their names are not known: place and bytes of what
            they have in common, and their suffix.

    Attributes:
        FIELDS: What a file's header holds of a signal beyond values and range: a field for each attribute,
            each with a default.
        figures: What ``measure`` and ``rates`` tell: the heading of each figure, and how it is printed.
        told: Those of them that the line about a finished file has, and how it says them.
    """

    code: int
    name: str
    axes: tuple[str, ...] | None
    dtype: str
    usual_range: tuple[float, float]
    masked: bool = False
    suffixes: tuple[str, ...] = (".npy",)
    read_suffixes: tuple[str, ...] = ()
    scanned: bool = False
    unit: str = "pixel"
    signatures: tuple[tuple[int, bytes, str], ...] = ()

    FIELDS: ClassVar[Mapping[str, Field]] = {}
    figures: ClassVar[Mapping[str, tuple[str, str]]] = {}
    told: ClassVar[Mapping[str, str]] = {}

    @property
    def rate_unit(self) -> str:
        """What a rate is counted in, in short: bits for each unit."""
        return "bpp" if self.unit == "pixel" else f"bits/{self.unit}"

    def value_type(self, attributes: Attributes) -> np.dtype:
        """Of decoded values."""
        return np.dtype(self.dtype)

    def spacing(self, attributes: Attributes) -> float | None:
        """Decoded values are rounded to multiples of it; None for real numbers."""
        return 1.0 if self.value_type(attributes).kind in "iu" else None

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuses a shape that no signal of this kind has.

        Args:
            shape: Size of each axis, the channels' left out.

        Raises:
            QuinrError: If it has another number of axes.
        """
        if self.axes is not None and len(shape) != len(self.axes):
            raise QuinrError(f"signal shape {shape}: {self.name} needs ({', '.join(self.axes)})")
        if not shape:
            raise QuinrError(f"signal shape {shape}: {self.name} needs at least one axis")

    def check_range(self, low: float, high: float, attributes: Attributes) -> None:
        """Refuses a range that no signal of this kind has.

        Args:
            low: The value that target 0 stands for.
            high: The value that target 1 stands for.
            attributes: Of the signal.

        Raises:
            QuinrError: If the interval is empty, not finite or more than integers of the dtype hold.
        """
        if not (np.isfinite(low) and np.isfinite(high) and high > low):
            raise QuinrError(f"signal range [{low}, {high}]: needs finite low < high")
        dtype = self.value_type(attributes)
        if dtype.kind in "iu":
            least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
            if not (low >= least and high <= most):
                raise QuinrError(
                    f"signal range [{low}, {high}]: that of {self.name} lies within [{least}, {most}]"
                )

    def read(self, path: Path) -> FileContent:
        """Read a file of one of ``read_suffixes``.

        Raises:
            QuinrError: If the file is missing or malformed.
        """
        raise NotImplementedError(f"{self.name} is not read by its kind")

    def check_file(self, suffix: str, channels: int, high: float) -> None:
        """Refuses a file that cannot hold a signal.

        Args:
            suffix: One of ``suffixes``.
            channels: Of the signal.
            high: The largest value that it can have.

        Raises:
            QuinrError: If it cannot; the message does not name the file.
        """

    def usual_suffix(self, attributes: Attributes) -> str:
        """Of the file that a decoded signal is written to where nothing is said."""
        return self.suffixes[0]

    def write(self, values: npt.NDArray, path: Path, attributes: Attributes) -> None:
        """Write decoded values to a file that ``check_file`` lets pass; here as NumPy's ``.npy``.

        Args:
            values: (*shape, channels) of the dtype. A single channel has no axis in the file.
            path: Where; its suffix is one of ``suffixes``.
            attributes: Of the signal.
        """
        with path.open("wb") as file:
            np.save(file, values[..., 0] if values.shape[-1] == 1 else values)

    def draw(self, targets: npt.NDArray) -> Picture:
        """A picture of a signal: here the first channel in false colours, see ``false_colours``.

        Args:
            targets: (*shape, channels), in [0, 1].

        Returns:
            (rows, columns, 3) uint8.
        """
        return false_colours(targets[..., 0])

    def draw_error(self, error: npt.NDArray) -> Picture:
        """A picture of errors, the brightest colour for a quarter of the range or more.

        Args:
            error: (*shape), mean absolute error over the channels as a share of the range.

        Returns:
            (rows, columns, 3) uint8.
        """
        return false_colours(np.clip(error / _ERROR_SCALE, 0, 1), "inferno")

    def measure(
        self, values: npt.NDArray, decoded: npt.NDArray, peak: float, valid: npt.NDArray[np.bool_] | None
    ) -> dict[str, float]:
        """Figures of quality beyond the PSNR; here none.

        Args:
            values: The signal, (*shape, channels).
            decoded: What its file decodes to, of the same shape.
            peak: Of the peak signal-to-noise ratio.
            valid: Pixels that were measured, (*shape); None where all were.
        """
        return {}

    def rates(self, size: int, pixels: int, attributes: Attributes) -> dict[str, float]:
        """Figures of rate beyond the bits for each unit; here none.

        Args:
            size: Bytes of the file.
            pixels: Number of coordinates.
            attributes: Of the signal.
        """
        return {}

    def said(self, figures: Mapping[str, float]) -> str:
        """What the line about a finished file says of its figures, each after a comma."""
        return "".join(f", {how.format(figures[name])}" for name, how in self.told.items() if name in figures)
