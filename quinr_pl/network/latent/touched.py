"""The latents that a training step on a tile looks at, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from quinr_pl.network.base import PartialGradient
from quinr_pl.network.latent.pyramid import LatentPyramid
from quinr_pl.ops.window import Window


@dataclass(frozen=True)
class GridPart:
    """The latents of one grid that a step looks at.

    Attributes:
        latents: Those of all windows, (rows, columns). Windows count from their first row and column.
        own: Those that lie in the tile.
        band: Those that interpolation to the tile looks at.
        around: Those of the tile, and what the context model sees of them.
    """

    latents: Tensor
    own: Window
    band: Window
    around: Window


class Touched:
    """Copies of the latents that a step looks at: gradients of whole grids would cost more than the step."""

    def __init__(self) -> None:
        self._parts: list[tuple[nn.Parameter, Window, GridPart]] = []

    def parts(
        self, pyramid: LatentPyramid, tile: Window, bands: Sequence[Window], reach: int, octave: int
    ) -> list[GridPart]:
        """The parts of all grids, the finest first; those finer than ``octave`` whole, without gradients.

        Args:
            pyramid: The grids.
            tile: Rows and columns at the resolution of ``octave``, whose edges lie between latents of the
                coarsest grid or at the signal's.
            bands: What interpolation looks at, see `LatentPyramid.windows`.
            reach: How far the context model sees.
            octave: Binary logarithm of the pixels a side for a value of the tile.
        """
        self._parts, found = [], []
        for level, grid in enumerate(pyramid.grids, pyramid.finest):
            shape = grid.shape[0], grid.shape[1]
            if level < octave:
                whole = Window.whole(shape)
                found.append(GridPart(grid.detach(), whole, whole, whole))
                continue
            own, band = tile.coarser(level - octave), bands[level - octave]
            around = own.widened(reach, shape, below=False)
            outer = band.joined(around)
            latents = outer.of(grid.detach()).clone().requires_grad_(grid.requires_grad)
            part = GridPart(latents, own.within(outer), band.within(outer), around.within(outer))
            self._parts.append((grid, own, part))
            found.append(part)
        return found

    def gradients(self) -> list[PartialGradient]:
        """Gradients of the tile's own latents, once: what lies around them belongs to other tiles."""
        parts, self._parts = self._parts, []
        return [
            PartialGradient(grid, own, part.own.of(part.latents.grad))
            for grid, own, part in parts
            if part.latents.grad is not None
        ]
