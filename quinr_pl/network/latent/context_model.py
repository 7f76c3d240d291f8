"""What prices the latents: a small network that predicts each one from those decoded before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from quinr_pl.network.latent.context_shape import NEIGHBOURS, SCALE_OCTAVES
from quinr_pl.network.layers.plain_modules import is_plain, linear_of_columns
from quinr_pl.ops.context import bits_by_layers, context_bits
from quinr_pl.ops.kernels.context import reach_of
from quinr_pl.ops.laplace import LaplaceContext
from quinr_pl.ops.window import Window

LEAST_PROBABILITY = 2.0**-20


class ContextModel(nn.Module):
    """Mean and scale of a Laplace distribution for each latent, from latents that the decoder has by then.

    One multilayer perceptron with ReLU serves all grids; a bias of its own shifts each grid's scales. A
    second hidden layer adds to the units of the first one, before its ReLU. The model sees the nearest causal
    neighbours within the grid (zero outside) and the latent of the next coarser grid that covers the same
    place. The idea is that of the auto-regressive model of Cool-Chic (Ladune et al., "COOL-CHIC:
    Coordinate-based low complexity hierarchical image codec", 2023).

    Args:
        grids: Number of grids.
        neighbours: How many of NEIGHBOURS it sees.
        width: Number of hidden units of each layer.
        layers: Number of hidden layers, 1 or 2.
    """

    def __init__(self, grids: int, neighbours: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.hidden = nn.Linear(neighbours + 1, width)
        self.second = nn.Linear(width, width) if layers == 2 else None
        self.output = nn.Linear(width, 2)
        self.grid = GridBias(grids)
        nn.init.normal_(self.hidden.weight, std=1 / math.sqrt(neighbours + 1))
        nn.init.normal_(self.output.weight, std=0.05)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.bias)
        if self.second is not None:  # which changes nothing until it is trained
            nn.init.zeros_(self.second.weight)
            nn.init.zeros_(self.second.bias)

    @property
    def layers(self) -> tuple[nn.Linear, ...]:
        """All that have a matrix, in their order."""
        return tuple(layer for layer in (self.hidden, self.second, self.output) if layer is not None)

    @property
    def reach(self) -> int:
        """Rows above and columns to either side that it sees of a grid."""
        return reach_of(self.offsets)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The neighbours it sees."""
        return NEIGHBOURS[: self.neighbours]

    def forward(
        self,
        grids: Sequence[Tensor],
        first: int = 0,
        counted: Sequence[Window] | None = None,
        second: bool = True,
    ) -> Tensor:
        """Bits of grids, differentiable in latents and weights.

        Args:
            grids: (rows, columns) of each grid, the finest first, of integers or of integers with noise.
            first: Grids before this one are left out.
            counted: Of parts of grids, the window of each whose latents count; see `context_bits`.
            second: Whether the second hidden layer has its part.

        Returns:
            Bits of each grid from ``first`` on, (grids - first,).
        """
        seen = LaplaceContext(self.offsets, SCALE_OCTAVES, LEAST_PROBABILITY)
        layers = self.layers if second else (self.hidden, self.output)
        shifts = self.grid.bias
        if all(is_plain(layer, nn.Linear) for layer in layers):
            weights = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
            return context_bits(*weights, shifts, *grids, context=seen, first=first, counted=counted)
        by_calls = [partial(linear_of_columns, layer) for layer in layers]
        return bits_by_layers(by_calls, shifts, grids, seen, first, counted)


class GridBias(nn.Module):
    """A number for each grid.

    Args:
        grids: Number of grids.
    """

    def __init__(self, grids: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(grids))
