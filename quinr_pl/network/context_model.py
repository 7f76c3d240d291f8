"""What prices the latents: a small network that predicts each one from those decoded before it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from quinr_pl.errors import QuinrError
from quinr_pl.network.context_bits import bits_of_grids
from quinr_pl.network.context_kernels import reach_of

NEIGHBOURS = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1)),
    *((0, -2), (-2, 0), (-1, -2), (-1, 2), (-2, -1), (-2, 1), (-2, -2), (-2, 2)),
    *((0, -3), (-3, 0), (-1, -3), (-1, 3), (-3, -1), (-3, 1)),
    *((-2, -3), (-2, 3), (-3, -2), (-3, 2), (-3, -3), (-3, 3)),
)
"""Rows down and columns right of a latent: those before it in raster order, nearest first."""
SCALE_OCTAVES = (-5, 6)
"""Binary logarithms of the smallest and of the largest scale of a Laplace distribution."""
LEAST_PROBABILITY = 2.0**-20


class ContextModel(nn.Module):
    """Mean and scale of a Laplace distribution for each latent, from latents that the decoder has by then.

    One multilayer perceptron with ReLU serves all grids; a bias of its own shifts each grid's scales. It
    sees the nearest causal neighbours within the grid (zero outside) and the latent of the next coarser
    grid that covers the same place. The idea is that of the auto-regressive model of Cool-Chic (Ladune et
    al., "COOL-CHIC: Coordinate-based low complexity hierarchical image codec", 2023).

    Args:
        grids: Number of grids.
        neighbours: How many of NEIGHBOURS it sees.
        width: Hidden units.

    Raises:
        QuinrError: If an argument is out of range.
    """

    def __init__(self, grids: int, neighbours: int, width: int) -> None:
        super().__init__()
        if not 1 <= neighbours <= len(NEIGHBOURS):
            raise QuinrError(
                f"--model.network.neighbours {neighbours}: must lie between 1 and {len(NEIGHBOURS)}"
            )
        if width < 1:
            raise QuinrError(f"--model.network.context_width {width}: must be at least 1")
        self.neighbours = neighbours
        self.hidden = nn.Linear(neighbours + 1, width)
        self.output = nn.Linear(width, 2)
        self.grid = GridBias(grids)
        nn.init.normal_(self.hidden.weight, std=1 / math.sqrt(neighbours + 1))
        nn.init.normal_(self.output.weight, std=0.05)
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.bias)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The neighbours it sees."""
        return NEIGHBOURS[: self.neighbours]

    def forward(self, grids: Sequence[Tensor], first: int = 0) -> Tensor:
        """Bits of grids, differentiable in latents and weights.

        Args:
            grids: (rows, columns) of each grid, the finest first, of integers or of integers with noise.
            first: Grids before this one are left out.

        Returns:
            Bits of each grid from ``first`` on, (grids - first,).
        """
        hidden, output, shifts = self.hidden, self.output, self.grid.bias
        if grids[0].device.type == "cpu":
            weights = [hidden.weight, hidden.bias, output.weight, output.bias, shifts]
            return bits_of_grids(self.offsets, SCALE_OCTAVES, LEAST_PROBABILITY, first, weights, grids)
        inputs = [self._inputs(grids, index) for index in range(first, len(grids))]
        sizes = [part.shape[1] for part in inputs]
        units = torch.relu(torch.addmm(hidden.bias[:, None], hidden.weight, torch.cat(inputs, 1)))
        predicted = torch.addmm(output.bias[:, None], output.weight, units)  # (2, latents)
        shift = torch.cat([bias.expand(size) for bias, size in zip(shifts[first:], sizes, strict=True)])
        values = torch.cat([grid.flatten() for grid in grids[first:]])
        bits = laplace_bits(values - predicted[0], predicted[1] + shift)
        return torch.stack([part.sum() for part in bits.split(sizes)])

    def _inputs(self, grids: Sequence[Tensor], index: int) -> Tensor:
        """(neighbours + 1, latents) of one grid."""
        grid = grids[index]
        rows, columns = grid.shape
        reach = reach_of(self.offsets)
        padded = nn.functional.pad(grid, (reach, reach, reach, 0))
        seen = [
            padded[reach + down : reach + down + rows, reach + right : reach + right + columns].flatten()
            for down, right in self.offsets
        ]
        if index + 1 < len(grids):
            coarser = grids[index + 1].repeat_interleave(2, 0).repeat_interleave(2, 1)
            seen.append(coarser[:rows, :columns].flatten())
        else:
            seen.append(grid.new_zeros(rows * columns))
        return torch.stack(seen)


class GridBias(nn.Module):
    """A number for each grid.

    Args:
        grids: How many.
    """

    def __init__(self, grids: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(grids))


def laplace_bits(deviation: Tensor, log_scale: Tensor) -> Tensor:
    """Bits of an integer under a Laplace distribution that is integrated over half a unit to either side.

    Args:
        deviation: Value less mean.
        log_scale: Binary logarithm of the scale, clamped to SCALE_OCTAVES.

    Returns:
        Bits, of the shape of the arguments; at most 20, where training has no gradient.
    """
    inverse = torch.exp2(-log_scale.clamp(*SCALE_OCTAVES))
    distance = deviation.abs()
    near = torch.exp((distance - 0.5).abs() * -inverse)  # twice the mass beyond the nearer edge
    far = torch.exp((distance + 0.5) * -inverse)
    mass = torch.where(distance < 0.5, 1 - 0.5 * (near + far), 0.5 * (near - far))
    return -torch.log2(mass.clamp_min(LEAST_PROBABILITY))
