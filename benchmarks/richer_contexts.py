"""What a context that sees more would save of finished files: ``python -m benchmarks.richer_contexts FILES``.

A small network sees what a file's own context model makes of each latent, and more that the decoder has by
then. It moves mean and scale of the latent's distribution. It is trained on the squares of one colour of a
board of 4 x 4 that covers each grid, and counted on those of the other one, twice. What it saves bounds what
a larger context, or one that adapts while it decodes, would take off these latents; its own weights are not
counted, and another fit might move latents to where it prices them low.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from quinr_pl.codec import decode
from quinr_pl.codec.coding.latents import IntegerContext, distributions
from quinr_pl.codec.sections.latents import integer_context
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY
from quinr_pl.network.latent.context_shape import NEIGHBOURS, SCALE_OCTAVES
from quinr_pl.ops.context import seen_latents
from quinr_pl.ops.laplace import laplace_bits

Plane = npt.NDArray[np.float64]
SETS = ("energy around", "coarser grids", "all")
_RADII = (3, 6, 12)
_DECAY = 0.8  # of a latent's weight with each step away
_BATCH, _STEPS, _WIDTH, _LEARNING_RATE = 8192, 600, 32, 3e-3
_MOST_OCTAVES = 3.0  # that a scale is moved by
_SQUARES = 4


def main() -> None:
    """Prints a row for each file and set of sights."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.richer_contexts", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| file | bytes of latents | {' | '.join(SETS)} |\n|---|---:|" + "---:|" * len(SETS))
    for path in options.files:
        latents = Latents.of(path)
        total = float(latents.bits().sum())
        saved = [100 * (1 - held_out_bits(latents, name) / total) for name in SETS]
        cells = " | ".join(f"{share:+.1f}" for share in saved)
        print(f"| {path.stem} | {total / 8:,.0f} | {cells} |", flush=True)


@dataclass(frozen=True)
class Latents:
    """All latents of a file.

    Args:
        values: The latents, (n,).
        mean: Of each one's distribution, (n,).
        scale: Binary logarithm of its scale, (n,).
        board: 0 or 1, the colour of the square that each lies in, (n,).
        sights: What is seen by name, (n, columns) each.
    """

    values: Tensor
    mean: Tensor
    scale: Tensor
    board: Tensor
    sights: Mapping[str, Tensor]

    @classmethod
    def of(cls, path: Path) -> Latents:
        """Those of a file."""
        quantized = decode(path.read_bytes(), path.name).quantized
        context = integer_context(quantized)
        grids = [grid.astype(np.float64) for grid in quantized.integers.values()]
        found = [_of_grid(grids, index, context) for index in range(len(grids))]
        joined = {
            name: torch.from_numpy(np.concatenate([grid[name] for grid in found])).float()
            for name in found[0]
        }
        own = joined["own"]
        sights = {
            "energy around": torch.cat([joined["energy"], own], 1),
            "coarser grids": torch.cat([joined["coarser"], own], 1),
            "all": torch.cat([joined["energy"], joined["coarser"], joined["near"], own], 1),
        }
        sights = {name: (sight - sight.mean(0)) / (sight.std(0) + 1e-6) for name, sight in sights.items()}
        return cls(joined["values"], joined["mean"], joined["scale"], joined["board"], sights)

    def bits(self, moved: Tensor | None = None, chosen: Tensor | None = None) -> Tensor:
        """Bits of the chosen ones, with means and scales moved by the rows of (n, 2)."""
        values, mean, scale = (
            part if chosen is None else part[chosen] for part in (self.values, self.mean, self.scale)
        )
        if moved is not None:
            octaves = moved.clamp(-_MOST_OCTAVES, _MOST_OCTAVES)
            mean = mean + torch.exp2(scale) * octaves[:, 0]
            scale = scale + octaves[:, 1]
        return laplace_bits(values - mean, scale, SCALE_OCTAVES, LEAST_PROBABILITY)


def held_out_bits(latents: Latents, name: str) -> float:
    """Bits of all latents, each with a network that is trained on squares of the other colour."""
    total, sights = 0.0, latents.sights[name]
    for colour in (0, 1):
        known = (latents.board != colour).nonzero()[:, 0]
        left = (latents.board == colour).nonzero()[:, 0]
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(sights.shape[1], _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 2))
        for parameter in network[-1].parameters():
            nn.init.zeros_(parameter)
        optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, _STEPS)
        for _ in range(_STEPS):
            batch = known[torch.randint(len(known), (_BATCH,))]
            loss = latents.bits(network(sights[batch]), batch).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            total += float(latents.bits(network(sights[left]), left).sum())
    return total


def _of_grid(grids: Sequence[Plane], index: int, context: IntegerContext) -> dict[str, Plane]:
    """What there is of each latent of a grid, (latents,) or (latents, columns)."""
    grid = grids[index]
    rows, columns = grid.shape
    down, right = np.divmod(np.arange(grid.size), columns)
    seen = seen_latents([torch.from_numpy(each) for each in grids], index, NEIGHBOURS).numpy().T
    own_sights = seen[:, [*range(len(context.offsets)), len(NEIGHBOURS)]]
    predicted = distributions(*context.predict(own_sights.astype(np.int64), index))
    mean, scale = (part.reshape(grid.shape) for part in predicted)
    away = (grid - mean) / np.hypot(2.0**scale, 0.28)
    energy = [
        sight
        for radius in _RADII
        for sight in (
            np.log(_around(np.abs(away), radius) + 0.05),
            _around(away, radius),
            np.log(_around(np.abs(grid), radius) + 0.05),
        )
    ]
    coarser = [
        np.pad(grids[index + up], 1)[(down >> up) + row, (right >> up) + column].reshape(grid.shape)
        if index + up < len(grids)
        else np.zeros(grid.shape)
        for up in (1, 2)
        for row in range(3)
        for column in range(3)
    ]
    square_rows, square_columns = down * _SQUARES // rows, right * _SQUARES // columns
    level = np.eye(len(grids))[index]
    own = [scale, mean - np.rint(mean), *(np.full(grid.shape, one) for one in level)]
    return {
        "values": grid.ravel(),
        "mean": mean.ravel(),
        "scale": scale.ravel(),
        "board": (square_rows + square_columns) % 2,
        "energy": _columns(energy),
        "coarser": np.tanh(_columns(coarser) / 4),
        "near": np.tanh(seen[:, : len(NEIGHBOURS)] / 4),
        "own": _columns(own),
    }


def _columns(planes: Sequence[Plane]) -> Plane:
    return np.stack([plane.ravel() for plane in planes], 1)


def _around(plane: Plane, radius: int) -> Plane:
    """Mean of what lies before each place in raster order and within a radius, the nearest weighing most."""
    rows, columns = plane.shape
    framed = np.pad(np.stack([plane, np.ones_like(plane)]), ((0, 0), (radius, 0), (radius, radius)))
    total = np.zeros((2, rows, columns))
    for up in range(radius + 1):
        for across in range(-radius, radius + 1):
            if up or across < 0:
                part = framed[:, radius - up :, radius + across :][:, :rows, :columns]
                total += _DECAY ** np.hypot(up, across) * part
    found: Plane = total[0] / np.maximum(total[1], 1e-9)
    return found


if __name__ == "__main__":
    main()
