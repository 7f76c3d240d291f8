"""The order in which a grid decodes when each place is predicted from causal neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quinr_pl.codec.arrays import Integers

WAVEFRONT = 1_500_000
"""What one weighs beside its places, in the operations that limit decoding; see docs/format.md."""


@dataclass(frozen=True)
class Wavefront:
    """Places that do not see each other: their neighbours all lie in earlier wavefronts.

    Args:
        rows: Rows of its latents.
        columns: Columns of its latents.
    """

    rows: Integers
    columns: Integers


def wavefront_count(height: int, width: int, reach: int) -> int:
    """Steps in which a grid decodes, whose number bounds the time as the number of places does."""
    return width + (reach + 1) * (height - 1)


def wavefronts_of(height: int, width: int, reach: int) -> Iterator[Wavefront]:
    """Places by column + (reach + 1) * row: neighbours above, up to ``reach`` to the right, come earlier."""
    slope = reach + 1
    for front in range(wavefront_count(height, width, reach)):
        rows = np.arange(max(0, (front - width) // slope + 1), min(height - 1, front // slope) + 1)
        if len(rows):
            yield Wavefront(rows, front - slope * rows)
