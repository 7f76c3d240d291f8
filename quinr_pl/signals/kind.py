"""What all signals of a kind have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quinr_pl.errors import QuinrError


@dataclass(frozen=True)
class SignalKind:
    """A kind of signal: what its axes and values are.

    Another kind is an instance of this class, or of a subclass that says what differs, registered in
    ``quinr_pl.signals.KINDS`` under its code.

    Args:
        code: Its number in files. 0 to 6 are this package's; others choose one from 7 on.
        name: In figures and messages.
        axes: Names of the axes, the channels' left out; None for any number of any axes.
        dtype: Of decoded values, as NumPy names it. Integers are rounded to, and the range is theirs.
        usual_range: The values that targets 0 and 1 stand for where a file does not say.
        masked: Whether a file may say at which coordinates there is no value.
    """

    code: int
    name: str
    axes: tuple[str, ...] | None
    dtype: str
    usual_range: tuple[float, float]
    masked: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether values are integers."""
        return np.dtype(self.dtype).kind in "iu"

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuses a shape that no signal of this kind has.

        Args:
            shape: Size of each axis, the channels' left out.

        Raises:
            QuinrError: If it has another number of axes.
        """
        if self.axes is not None and len(shape) != len(self.axes):
            raise QuinrError(f"signal shape {shape}: {self.name} needs ({', '.join(self.axes)})")

    def check_range(self, low: float, high: float) -> None:
        """Refuses a range that no signal of this kind has.

        Args:
            low: The value that target 0 stands for.
            high: The value that target 1 stands for.

        Raises:
            QuinrError: If the interval is empty, not finite or more than integers of the dtype hold.
        """
        if not (np.isfinite(low) and np.isfinite(high) and high > low):
            raise QuinrError(f"signal range [{low}, {high}]: needs finite low < high")
        if self.is_integer:
            least, most = np.iinfo(self.dtype).min, np.iinfo(self.dtype).max
            if not (low >= least and high <= most):
                raise QuinrError(
                    f"signal range [{low}, {high}]: that of {self.name} lies within [{least}, {most}]"
                )
