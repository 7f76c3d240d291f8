"""Names for the arrays and shapes that the codec hands around."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Shapes = Mapping[str, tuple[int, ...]]
"""Of tensors, by name."""
