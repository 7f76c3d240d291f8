"""From trained weights to levels near those of another frame."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from quinr_pl.codec.arrays import Floats
from quinr_pl.codec.coding.mixture import LARGEST_LEVEL
from quinr_pl.codec.quantized import QuantizedTensor
from quinr_pl.codec.rounding.levels import reduce_period

DEAD_ZONES = (0.5, 0.7, 1.0, 1.5, np.inf)
"""How many steps a weight has to be away from the other frame's level until it takes the first one.

With a half each goes to its nearest level, with infinity all stay.
"""


def moved_levels(
    values: Tensor, before: QuantizedTensor, period: Tensor | None, zone: float
) -> QuantizedTensor:
    """Levels of a tensor at the step sizes of another frame, moved from that one's where it pays.

    Args:
        values: Trained weights.
        before: The other frame's.
        period: Of the weights, where they have one.
        zone: One of ``DEAD_ZONES``.
    """
    away = reduce_period(values - before.dequantize(), period).numpy().astype(np.float64) / before.steps
    steps: Floats = np.floor(np.maximum(np.abs(away) + 1 - zone, 0)) if np.isfinite(zone) else 0 * away
    levels = before.levels + (np.sign(away) * steps).astype(np.int64)
    return QuantizedTensor(np.clip(levels, -LARGEST_LEVEL, LARGEST_LEVEL), before.codes)
