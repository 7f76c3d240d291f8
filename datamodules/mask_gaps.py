"""Details of masks of range images that cost bits for next to nothing: small gaps, frays and flicker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ALMOST_ALL = 8  # of the nine pixels in and around a place
_MOST, _PASSES = 5, 2
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


def without_flicker(mask: npt.NDArray[np.bool_], before: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask as of the frame before, except where almost all pixels around a place say otherwise.

    What a scanner gets back from glass, leaves and the rims of things comes and goes from scan to scan.

    Args:
        mask: (rows, columns), True where there is a return.
        before: That of the frame before.
    """
    counts = _counts(mask)
    kept: npt.NDArray[np.bool_] = (counts >= _ALMOST_ALL) | (before & (counts > 9 - _ALMOST_ALL))
    return kept if kept.any() else mask


def smoothed(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask as most of the nine pixels in and around each place have it, and that once more.

    What is thinner than a few pixels, and the frays of rims, take nearly half of its bits.

    Args:
        mask: (rows, columns), True where there is a return.
    """
    kept = mask
    for _ in range(_PASSES):
        kept = _counts(kept) >= _MOST
    return kept if kept.any() else mask


def _counts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many of the nine pixels in and around each place have a return, edges repeated."""
    rows, columns = mask.shape
    framed = np.pad(mask, 1, mode="edge").astype(np.int64)
    counts: npt.NDArray[np.int64] = np.sum(
        [framed[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0
    )
    return counts
