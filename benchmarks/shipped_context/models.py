"""Context models of several forms that are trained on the latents of many files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.shipped_context.sights import FileSights
from benchmarks.shipped_context.training import LEVELS, parts_of, train
from quinr_pl.network.latent.context_shape import NEIGHBOURS

COARSER = 6
"""Coarser grids that the finest of seven has."""


@dataclass(frozen=True)
class Form:
    """A kind of model.

    Args:
        neighbours: How many it sees.
        coarser: How many of the coarser grids it sees.
        layers: Number of hidden layers.
        width: Hidden units of each.
        by_level: Whether each level has weights of its own.
        by_rate: Whether each rate has.
    """

    neighbours: int = 24
    coarser: int = 1
    layers: int = 1
    width: int = 24
    by_level: bool = False
    by_rate: bool = False

    def __str__(self) -> str:
        own = [name for name, has in (("level", self.by_level), ("rate", self.by_rate)) if has]
        size = f"{self.neighbours} + {self.coarser}, {self.layers} x {self.width}"
        return f"{size}, each {' and '.join(own)}" if own else size


class Model(nn.Module):
    """Mean and scale from what is seen; scales of each level are shifted.

    Args:
        form: Its inputs and layers.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        sizes = [form.neighbours + form.coarser, *[form.width] * form.layers]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.output = nn.Linear(form.width, 2)
        self.shifts = nn.Parameter(torch.zeros(LEVELS))
        for layer in self.hidden:
            nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.output.weight, std=0.05)
        nn.init.zeros_(self.output.bias)

    def forward(self, seen: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and binary logarithms of scales, (n,) each, from (n, inputs) and (n,) levels."""
        first = len(NEIGHBOURS)
        units = torch.cat([seen[:, : self.form.neighbours], seen[:, first : first + self.form.coarser]], 1)
        for layer in self.hidden:
            units = torch.relu(layer(units))
        mean, scale = self.output(units).unbind(1)
        return mean, scale + self.shifts[levels]


def trained_on(form: Form, files: Sequence[FileSights], passes: float) -> Mapping[int, Model]:
    """Of each level its model, trained on all files."""

    def trained(levels: Sequence[int]) -> Model:
        torch.manual_seed(0)
        model = Model(form)
        train(model, model, parts_of(files, levels), passes, seed=0)
        return model

    known = sorted({level for file in files for level in file.levels})
    if form.by_level:
        return {level: trained([level]) for level in known}
    return dict.fromkeys(known, trained(known))


@torch.no_grad()
def counted(models: Mapping[int, Model], file: FileSights) -> dict[int, tuple[float, float]]:
    """Bits of each level of a file's latents: with the model, and with the best shift of its scales."""
    found = {}
    for level, sights in file.levels.items():
        mean, scale = models[level](sights.seen, torch.full((len(sights.values),), level))
        steps = torch.arange(-24, 25) / 16
        sums = [float(sights.bits(mean, scale + step).sum()) for step in steps]
        found[level] = sums[len(steps) // 2], min(sums)
    return found
