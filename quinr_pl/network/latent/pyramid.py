"""Grids of latents at falling resolutions, and their interpolation to the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quinr_pl.network.layers.plain_modules import is_plain
from quinr_pl.ops.upsampling import interpolated, joined, upsampled

_BILINEAR = (0.0, 0.25, 0.75, 0.0)
_REACH = 2  # rows of a coarser grid to either side that interpolation by two looks at


def grid_shape(height: int, width: int, octave: int) -> tuple[int, int]:
    """Rows and columns of a grid with one latent for ``2**octave`` pixels a side, rounded up."""
    return -(-height >> octave), -(-width >> octave)


class Upsampling(nn.Module):
    """Twice the resolution along both axes, by a symmetric filter of eight taps that starts bilinear.

    Attributes:
        weight: What an even sample gives to the four values from two before it to one after it. An odd one
            takes them in reverse, from one before it to two after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(_BILINEAR))

    def forward(self, values: Tensor) -> Tensor:
        """(grids, rows, columns) -> (grids, 2 rows, 2 columns); edges are repeated."""
        return upsampled(values, self.weight)


class LatentPyramid(nn.Module):
    """Grids of latents and one interpolation filter, learned, for every factor of two.

    Args:
        height: Rows of the signal.
        width: Columns of the signal.
        finest: The finest grid has one latent for ``2**finest`` pixels a side.
        grids: Number of grids, each of half the resolution of the one before.

    Attributes:
        grids: (rows, columns) of each, the finest first; zero at first.
    """

    def __init__(self, height: int, width: int, finest: int, grids: int) -> None:
        super().__init__()
        self.finest = finest
        shapes = [grid_shape(height, width, finest + index) for index in range(grids)]
        self.grids = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.interpolation = Upsampling()

    @property
    def coarsest(self) -> int:
        """Binary logarithm of the pixels a side for a latent of the coarsest grid."""
        return self.finest + len(self.grids) - 1

    def interpolate(self, grids: Sequence[Tensor], height: int, width: int, octave: int = 0) -> Tensor:
        """All grids at one resolution.

        Args:
            grids: Values of each grid; those finer than ``octave`` are not looked at.
            height: Rows of the signal.
            width: Columns of the signal.
            octave: Binary logarithm of the pixels a side for a value of the result.

        Returns:
            (grids, rows, columns), zero for grids that are finer.
        """
        levels = range(self.coarsest, octave - 1, -1)
        shapes = [grid_shape(height, width, level) for level in levels]
        known = [grids[level - self.finest] for level in levels if level >= self.finest]
        if is_plain(self.interpolation, Upsampling):
            features = interpolated(self.interpolation.weight, known, shapes)
        else:
            features = joined(self.interpolation, known, shapes)
        absent = len(grids) - len(features)
        if absent:
            features = torch.cat([features.new_zeros(absent, *features.shape[1:]), features])
        return features

    @torch.no_grad()
    def interpolate_rows(self, first: int, last: int, height: int, width: int) -> Tensor:
        """All grids, rounded, at the rows ``first`` to ``last`` of the signal: (grids, rows, columns).

        At each resolution there are no more rows than the next finer one looks at.
        """
        bands = [(first, last)]
        for level in range(1, self.coarsest + 1):
            rows, (low, high) = grid_shape(height, width, level)[0], bands[-1]
            bands.append((max(0, (low >> 1) - _REACH), min(rows, (high + 1 >> 1) + _REACH)))
        low, high = bands[-1]
        features = self.grids[-1][low:high].round()[None]  # (grids so far, rows, columns)
        for level in range(self.coarsest - 1, -1, -1):
            rows, columns = grid_shape(height, width, level)
            start, (low, high) = 2 * low, bands[level]
            shape = min(2 * features.shape[1], rows - start), columns
            if is_plain(self.interpolation, Upsampling):
                finer = upsampled(features, self.interpolation.weight, shape)
            else:
                finer = self.interpolation(features)[:, : shape[0], : shape[1]]
            features = finer[:, low - start : high - start]
            if level >= self.finest:
                joining = self.grids[level - self.finest][low:high].round()[None]
                features = torch.cat([joining, features])
        return features
