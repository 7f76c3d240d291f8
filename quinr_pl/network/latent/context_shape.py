"""What the decoder must know of a context model besides its weights."""

from __future__ import annotations

from dataclasses import dataclass

NEIGHBOURS = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1)),
    *((0, -2), (-2, 0), (-1, -2), (-1, 2), (-2, -1), (-2, 1), (-2, -2), (-2, 2)),
    *((0, -3), (-3, 0), (-1, -3), (-1, 3), (-3, -1), (-3, 1)),
    *((-2, -3), (-2, 3), (-3, -2), (-3, 2), (-3, -3), (-3, 3)),
)
"""Rows down and columns right of a latent: those before it in raster order, nearest first."""
SCALE_OCTAVES = (-5, 6)
"""Binary logarithms of the smallest and of the largest scale of a Laplace distribution."""


@dataclass(frozen=True)
class ContextShape:
    """A context model in a network.

    Args:
        name: What its parameters' names begin with.
        neighbours: How many of NEIGHBOURS it sees.
        width: Number of hidden units of each layer.
        layers: Number of hidden layers, 1 or 2.
    """

    name: str
    neighbours: int
    width: int
    layers: int = 1

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The neighbours it sees."""
        return NEIGHBOURS[: self.neighbours]
