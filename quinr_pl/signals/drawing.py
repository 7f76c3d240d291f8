"""Pictures of numbers: false colours, and pictures beside one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quinr_pl.import_away import import_away

Picture = npt.NDArray[np.uint8]
"""(rows, columns, 3): red, green, blue."""
_GAP = 4  # pixels between two pictures


def of_colours(shares: npt.NDArray) -> Picture:
    """The picture of red, green and blue in [0, 1], (rows, columns, 3); what lies outside is clamped."""
    picture: Picture = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    return picture


def false_colours(shares: npt.NDArray, colours: str = "turbo") -> Picture:
    """Numbers in false colours.

    Args:
        shares: (..., columns) of numbers, 0 for the darkest colour and 1 for the brightest. What more axes
            than two hold comes below one another.
        colours: Name of a colour map of matplotlib's.
    """
    # Takes a third of a second, which is not for those who draw nothing; and a stranger's matplotlibrc could
    # name code to run.
    matplotlib = import_away("matplotlib")
    rows = shares.reshape(-1, shares.shape[-1])
    return of_colours(matplotlib.colormaps[colours](rows)[..., :3])


def side_by_side(pictures: Sequence[Picture]) -> Picture:
    """One picture of several on white: beside one another, or below where they are wide.

    Args:
        pictures: Of any sizes.
    """
    rows = max(picture.shape[0] for picture in pictures)
    columns = max(picture.shape[1] for picture in pictures)
    down, right = (rows + _GAP, 0) if columns > rows else (0, columns + _GAP)
    more = len(pictures) - 1
    sheet: Picture = np.full((rows + more * down, columns + more * right, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index * down, index * right
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet
