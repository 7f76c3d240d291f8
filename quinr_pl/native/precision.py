"""The number formats of kernels, and how many numbers a vector holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

VECTOR_BYTES = 64


@dataclass(frozen=True)
class Precision:
    """A number format: ``float32`` in 16 lanes or ``float64`` in 8.

    Attributes:
        name: Name of the dtype in NumPy.
    """

    name: str

    @classmethod
    def of(cls, values: Tensor | npt.NDArray) -> Precision:
        """That of an array of float32 or float64."""
        return cls(str(values.dtype).removeprefix("torch."))

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the numbers."""
        return np.dtype(self.name)

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return VECTOR_BYTES // self.dtype.itemsize

    @property
    def bits(self) -> int:
        """Bits of a number."""
        return 8 * self.dtype.itemsize

    @property
    def fraction_bits(self) -> int:
        """Bits of a number's fraction, which are its last."""
        return int(np.finfo(self.dtype).nmant)

    @property
    def exponent_bits(self) -> int:
        """Bits of a number's exponent."""
        return int(np.finfo(self.dtype).iexp)
