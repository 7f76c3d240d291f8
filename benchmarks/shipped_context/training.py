"""Trains a context model on the latents of many files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.shipped_context.sights import FileSights, Sights
from quinr_pl.training.soap import SOAP

LEVELS = 9
"""Levels that have a scale of their own; coarser grids have that of the last one."""
_BATCH, _FEWEST_STEPS = 8192, 100
_LEARNING_RATE, _WARMUP, _FINAL = 5e-3, 50, 0.01
_OFTEN = 64
"""Latents that are alike more often than so are part of each batch."""
Predict = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Part:
    """The latents of a grid in training.

    Args:
        level: Binary logarithm of the pixels a side for a latent.
        sights: What is seen of them.
        worth: What a bit of them counts.
    """

    level: int
    sights: Sights
    worth: float


def parts_of(files: Sequence[FileSights], levels: Sequence[int] = range(LEVELS)) -> list[Part]:
    """Grids of some levels, coarser ones taken for the last, each file worth as much as any other."""
    return [
        Part(level, sights, 1 / (file.total * len(files)))
        for file in files
        for level, sights in ((min(level, LEVELS - 1), sights) for level, sights in file.levels.items())
        if level in levels
    ]


def train(model: nn.Module, predict: Predict, parts: Sequence[Part], passes: float, seed: int) -> None:
    """Trains a model to the fewest bits.

    Args:
        model: Of the parameters.
        predict: From what is seen, (n, inputs), and levels, (n,), to means and binary logarithms of scales.
        parts: What it is trained on.
        passes: How often each sight is looked at.
        seed: Of the batches.
    """
    all_of = Sights(
        *(torch.cat([getattr(part.sights, name) for part in parts]) for name in ("seen", "values", "counts"))
    )
    worth = torch.cat([part.sights.counts * part.worth for part in parts])
    levels = torch.cat([torch.full((len(part.sights.values),), part.level) for part in parts])
    often, seldom = (
        torch.nonzero(chosen)[:, 0] for chosen in (all_of.counts >= _OFTEN, all_of.counts < _OFTEN)
    )
    batches = max(1, len(seldom) // _BATCH)
    worth[often] /= batches
    steps = max(_FEWEST_STEPS, round(passes * batches))
    groups = [{"params": list(model.parameters()), "lr": _LEARNING_RATE}]
    optimizer = SOAP(groups, betas=(0.95, 0.95), precondition_frequency=5)
    for step, chosen in zip(range(steps), _batches(seldom, batches, seed), strict=False):
        at = torch.cat([often, chosen])
        batch = Sights(all_of.seen[at], all_of.values[at], worth[at] * batches)
        loss = batch.bits(*predict(batch.seen, levels[at])).sum()
        falling = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, (step + 1) / _WARMUP) * (_FINAL + (1 - _FINAL) * falling)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _batches(places: Tensor, count: int, seed: int) -> Iterator[Tensor]:
    """Places in random order, in so many parts, again and again."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from places[torch.randperm(len(places), generator=generator)].chunk(count)
