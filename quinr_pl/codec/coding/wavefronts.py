"""The order in which a grid decodes when each place is predicted from causal neighbours."""

from __future__ import annotations

from collections.abc import Iterator

WAVEFRONT = 1_500_000
"""What one weighs beside its places, in the operations that limit decoding; see docs/format.md."""


def wavefront_count(height: int, width: int, reach: int) -> int:
    """Steps in which a grid decodes, whose number bounds the time as the number of places does."""
    return width + (reach + 1) * (height - 1)


def wavefronts_of(height: int, width: int, reach: int, frame: int) -> Iterator[slice]:
    """Places by column + (reach + 1) * row: neighbours above, up to ``reach`` to the right, come earlier.

    The places of a wavefront do not see each other. They lie at equal distances in memory, so that a slice is
    all of them, from the top down.

    Args:
        height: Rows of the grid.
        width: Columns of the grid.
        reach: Columns to the right that a place sees of the rows above.
        frame: Rows above, and columns to the left and to the right, that lie around the grid: ``reach`` or
            more.

    Yields:
        Slices of the flat array of (height + frame, width + 2 * frame).
    """
    slope, row = reach + 1, width + 2 * frame
    for front in range(wavefront_count(height, width, reach)):
        first, last = max(0, (front - width) // slope + 1), min(height - 1, front // slope)
        if first <= last:
            start, step = (first + frame) * row + frame + front - slope * first, row - slope
            yield slice(start, start + (last - first) * step + 1, step)
