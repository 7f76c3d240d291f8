"""Interpolation of a part of a pyramid, of tensors or of NumPy's arrays: what it looks at, and its order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quinr_pl.native.memory import AnyArray
from quinr_pl.ops.window import Shape, Window

_REACH = 2  # rows of a coarser grid to either side that interpolation by two looks at


def grid_shape(height: int, width: int, octave: int) -> Shape:
    """Rows and columns of a grid with one latent for ``2**octave`` pixels a side, rounded up."""
    return -(-height >> octave), -(-width >> octave)


def filters_of_doublings(coarsest: int) -> int:
    """How many filters interpolation has where each doubling has its own; one where there is none to do.

    Args:
        coarsest: Binary logarithm of the pixels a side for a latent of the coarsest grid.
    """
    return max(1, coarsest)


def looked_at(window: Window, shape: Shape, coarsest: int, octave: int = 0) -> list[Window]:
    """What interpolation to a window looks at: of each resolution, from the window's to the coarsest.

    At each resolution there is no more than the next finer one looks at.

    Args:
        window: Rows and columns at the resolution of ``octave``.
        shape: Rows and columns of the signal.
        coarsest: Binary logarithm of the pixels a side for a latent of the coarsest grid.
        octave: Binary logarithm of the pixels a side for a value of the window.
    """
    found = [window]
    for level in range(octave + 1, coarsest + 1):
        found.append(found[-1].coarser().widened(_REACH, grid_shape(*shape, level)))
    return found


def interpolated_windows(
    parts: Sequence[AnyArray],
    windows: Sequence[Window],
    shape: Shape,
    finest: int,
    octave: int,
    upsampled: Callable[[AnyArray, Shape, int], AnyArray],
    joined: Callable[[list[AnyArray]], AnyArray],
) -> AnyArray:
    """All grids at a window of one resolution.

    Args:
        parts: Values of each grid in its window, (rows, columns), the finest first; those finer than
            ``octave`` are not looked at.
        windows: What ``looked_at`` found.
        shape: Rows and columns of the signal.
        finest: Binary logarithm of the pixels a side for a latent of the finest grid.
        octave: That for a value of the result.
        upsampled: Twice the resolution of (grids, rows, columns), cut to the rows and columns asked for; it
            is told the octave of what it gives.
        joined: Puts arrays together along their first axis.

    Returns:
        (grids, rows, columns), the finest first, without grids that are finer.
    """
    features = parts[-1][None]  # (grids so far, rows, columns)
    for level in range(finest + len(parts) - 2, octave - 1, -1):
        coarse, fine = windows[level + 1 - octave], windows[level - octave]
        known = coarse.finer(1, grid_shape(*shape, level))
        features = fine.within(known).of(upsampled(features, known.shape, level))
        if level >= finest:
            features = joined([parts[level - finest][None], features])
    return features
