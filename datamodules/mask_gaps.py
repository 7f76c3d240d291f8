"""Small gaps in range images, which cost a mask bits and a scan next to nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LARGEST_STEP = 4.0  # metres between both sides: what lies between is at most half as far from a surface


def close_gaps(
    ranges: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], longest: int
) -> npt.NDArray[np.bool_]:
    """Where a mask has returns once the gaps of its rows are closed.

    Args:
        ranges: (rows, columns), in metres.
        valid: (rows, columns), True where there is a return.
        longest: Pixels of the longest gap between two returns that is closed, if their ranges differ by 4 m
            at most.

    Returns:
        (rows, columns), True where there is a return or a closed gap.
    """
    row, column = np.nonzero(valid)
    gap = np.diff(column) - 1
    step = np.abs(np.diff(ranges[valid].astype(np.float64)))
    closes = (np.diff(row) == 0) & (gap > 0) & (gap <= longest) & (step <= _LARGEST_STEP)
    closed = valid.copy()
    for first in np.flatnonzero(closes):
        closed[row[first], column[first] + 1 : column[first + 1]] = True
    return closed
