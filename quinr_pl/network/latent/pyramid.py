"""Grids of latents at falling resolutions, and their interpolation to the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from quinr_pl.network.latent.bands import filters_of_doublings, grid_shape, interpolated_windows, looked_at
from quinr_pl.network.layers.plain_modules import is_plain
from quinr_pl.ops.upsampling import interpolated, joined, upsampled
from quinr_pl.ops.window import Shape, Window

_BILINEAR = (0.0, 0.25, 0.75, 0.0)
UpsamplingKind = Literal["shared", "own"]


class Upsampling(nn.Module):
    """Twice the resolution along both axes, by symmetric filters of eight taps that start bilinear.

    Args:
        octaves: Number of doublings that have a filter of their own; None for one filter of all.

    Attributes:
        weight: What an even sample gives to the four values from two before it to one after it, (4,), or
            that of each doubling, the one to octave 0 first, (octaves, 4). An odd sample takes them in
            reverse, from one before it to two after it.
    """

    def __init__(self, octaves: int | None = None) -> None:
        super().__init__()
        taps = torch.tensor(_BILINEAR)
        self.weight = nn.Parameter(taps if octaves is None else taps.repeat(octaves, 1))

    def taps(self, octave: int, doublings: int) -> Tensor:
        """Those of so many doublings, to an octave and to the coarser ones before it: (doublings, 4)."""
        if self.weight.ndim == 1:
            return self.weight.expand(doublings, -1)
        return self.weight[octave : octave + doublings]

    def forward(self, values: Tensor, octave: int = 0) -> Tensor:
        """(grids, rows, columns) -> (grids, 2 rows, 2 columns) of an octave; edges are repeated."""
        return upsampled(values, self.taps(octave, 1)[0])


class LatentPyramid(nn.Module):
    """Grids of latents and a learned interpolation for every factor of two.

    Args:
        height: Rows of the signal.
        width: Columns of the signal.
        finest: The finest grid has one latent for ``2**finest`` pixels a side.
        grids: Number of grids, each of half the resolution of the one before.
        upsampling: Whether all factors of two have one filter, or each its own.

    Attributes:
        grids: (rows, columns) of each, the finest first; zero at first. What is interpolated is their sum
            with the grids of another frame where `follow` has named some.
    """

    def __init__(
        self, height: int, width: int, finest: int, grids: int, upsampling: UpsamplingKind = "shared"
    ) -> None:
        super().__init__()
        self.finest = finest
        shapes = [grid_shape(height, width, finest + index) for index in range(grids)]
        self.grids = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        filters = filters_of_doublings(self.coarsest) if upsampling == "own" else None
        self.interpolation = Upsampling(filters)
        for index in range(grids):
            self.register_buffer(f"other{index}", None, persistent=False)

    def follow(self, others: Sequence[Tensor]) -> None:
        """Lets grids hold what is to be added to those of another frame, the finest first."""
        for index, other in enumerate(others):
            setattr(self, f"other{index}", other)

    def _sum(self, index: int, latents: Tensor, window: Window | None = None) -> Tensor:
        """Latents of a grid, or of a window of it, with those of the other frame."""
        other: Tensor | None = getattr(self, f"other{index}")
        if other is None:
            return latents
        return latents + (other if window is None else window.of(other))

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
        indices = [level - self.finest for level in levels if level >= self.finest]
        known = [self._sum(index, grids[index]) for index in indices]
        if is_plain(self.interpolation, Upsampling):
            features = interpolated(self.interpolation.taps(octave, len(shapes) - 1), known, shapes)
        else:
            features = joined(lambda values, after: self.interpolation(values, octave + after), known, shapes)
        return self._with_absent(features)

    @torch.no_grad()
    def enlarge(self, octave: int) -> None:
        """Moves each grid to the next finer one, interpolated; the coarsest becomes zero.

        Args:
            octave: Binary logarithm of the pixels a side for a latent of the finest grid that moves.
        """
        for index in range(octave - self.finest, len(self.grids)):
            rows, columns = self.grids[index - 1].shape
            twice = self._finer(self.grids[index][None], (rows, columns), self.finest + index - 1)
            self.grids[index - 1].copy_(twice[0])
        self.grids[-1].zero_()

    def windows(self, window: Window, height: int, width: int, octave: int = 0) -> list[Window]:
        """What interpolation to a window looks at: of each resolution, from the window's to the coarsest.

        Args:
            window: Rows and columns at the resolution of ``octave``.
            height: Rows of the signal.
            width: Columns of the signal.
            octave: Binary logarithm of the pixels a side for a value of the window.
        """
        return looked_at(window, (height, width), self.coarsest, octave)

    def interpolate_windows(
        self, parts: Sequence[Tensor], windows: Sequence[Window], height: int, width: int, octave: int = 0
    ) -> Tensor:
        """All grids at a window of one resolution, with the values that ``interpolate`` has there.

        Args:
            parts: Values of each grid in its window; those finer than ``octave`` are not looked at.
            windows: What ``windows`` found.
            height: Rows of the signal.
            width: Columns of the signal.
            octave: Binary logarithm of the pixels a side for a value of the result.

        Returns:
            (grids, rows, columns), zero for grids that are finer.
        """
        shape = height, width
        parts = [
            self._sum(index, part, windows[index + self.finest - octave])
            if index + self.finest >= octave
            else part
            for index, part in enumerate(parts)
        ]
        found = interpolated_windows(parts, windows, shape, self.finest, octave, self._finer, torch.cat)
        return self._with_absent(found)

    def _finer(self, values: Tensor, shape: Shape, octave: int) -> Tensor:
        """Values at the next finer resolution, an octave: (grids, rows, columns) -> (grids, *shape)."""
        if is_plain(self.interpolation, Upsampling):
            return upsampled(values, self.interpolation.taps(octave, 1)[0], shape)
        twice: Tensor = self.interpolation(values, octave)
        return twice[:, : shape[0], : shape[1]]

    def rounded(self) -> list[Tensor]:
        """Integers, with the derivatives of the latents themselves."""
        return [_rounded(grid) for grid in self.grids]

    def interpolate_rows(self, first: int, last: int, height: int, width: int) -> Tensor:
        """All grids, rounded, at the rows ``first`` to ``last`` of the signal: (grids, rows, columns)."""
        windows = self.windows(Window(first, last, 0, width), height, width)
        parts = [_rounded(windows[level].of(grid)) for level, grid in enumerate(self.grids, self.finest)]
        return self.interpolate_windows(parts, windows, height, width)

    def _with_absent(self, features: Tensor) -> Tensor:
        """With zeros for the grids that are finer than the features' resolution."""
        absent = len(self.grids) - len(features)
        if absent:
            features = torch.cat([features.new_zeros(absent, *features.shape[1:]), features])
        return features


def _rounded(latents: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return latents.round()
    return latents - (latents - latents.round()).detach()
