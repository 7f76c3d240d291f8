"""What a context model sees of the latents of files, equal sights counted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from quinr_pl.codec import decode
from quinr_pl.codec.coding.latents import FRACTION_BITS, IntegerContext
from quinr_pl.codec.sections.latents import integer_context
from quinr_pl.network.latent.context_model import LEAST_PROBABILITY
from quinr_pl.network.latent.context_shape import NEIGHBOURS, SCALE_OCTAVES
from quinr_pl.ops.context import seen_latents
from quinr_pl.ops.laplace import laplace_bits

_LARGEST_INPUT = 1023  # as decoders clamp it


@dataclass(frozen=True)
class Sights:
    """Latents of a grid, each with what comes before it.

    Args:
        seen: All of NEIGHBOURS, then the latents of coarser grids at the same place, the next coarser one
            first, zero beyond the coarsest: (n, neighbours + coarser grids).
        values: The latents, (n,).
        counts: How many latents of the grid are alike in both, (n,).
    """

    seen: Tensor
    values: Tensor
    counts: Tensor

    @classmethod
    def of(cls, grids: list[Tensor], index: int, coarser: int = 1) -> Sights:
        """Those of a grid.

        Args:
            grids: Integers of each grid, the finest first.
            index: Of the grid.
            coarser: How many coarser grids are seen.
        """
        rows, columns = grids[index].shape
        covering = torch.zeros(coarser, rows * columns)
        for place, grid in enumerate(grids[index + 1 : index + 1 + coarser]):
            side = 2 << place
            wide = grid.repeat_interleave(side, 0).repeat_interleave(side, 1)
            covering[place] = wide[:rows, :columns].flatten()
        near = seen_latents(grids, index, NEIGHBOURS)[:-1]
        seen = torch.cat([near, covering]).clamp(-_LARGEST_INPUT, _LARGEST_INPUT)
        alike = torch.cat([seen, grids[index].flatten()[None]])
        factors = np.random.default_rng(0).integers(-(2**62), 2**62, len(alike))
        with np.errstate(over="ignore"):  # modulo 2**64: columns that differ have different keys
            keys = factors @ alike.numpy().astype(np.int64)
        _, places, counts = np.unique(keys, return_index=True, return_counts=True)
        found = alike[:, torch.from_numpy(places)].T
        return cls(found[:, :-1].contiguous(), found[:, -1].contiguous(), torch.from_numpy(counts).float())

    def bits(self, mean: Tensor, scale: Tensor) -> Tensor:
        """Bits of all latents that are alike, from means and binary logarithms of scales: (n,) each."""
        return self.counts * laplace_bits(self.values - mean, scale, SCALE_OCTAVES, LEAST_PROBABILITY)


@dataclass(frozen=True)
class FileSights:
    """The latents of a file.

    Args:
        name: Of the file, for messages.
        levels: Sights of each grid, by the binary logarithm of the pixels a side for a latent.
        context: The file's own context model.
    """

    name: str
    levels: Mapping[int, Sights]
    context: IntegerContext

    @cached_property
    def own_bits(self) -> Mapping[int, float]:
        """What latents of each level take with the file's own context model."""
        return self.bits_with(self.context)

    @property
    def total(self) -> float:
        """Bits of all latents with the file's own context model."""
        return sum(self.own_bits.values())

    @torch.no_grad()
    def bits_with(self, context: IntegerContext, shift: float = 0.0) -> dict[int, float]:
        """Bits of each level with the context model of a file that has the same levels.

        Args:
            context: The model.
            shift: Added to the binary logarithms of scales.
        """
        weights = context.hidden_weight, context.hidden_bias, context.output_weight, context.output_bias
        numbers = [torch.from_numpy(part).float() / (1 << FRACTION_BITS) for part in weights]
        hidden, hidden_bias, output, output_bias = numbers
        found = {}
        for (level, sights), bias in zip(self.levels.items(), context.grid_bias.tolist(), strict=True):
            seen = sights.seen[:, [*range(len(context.offsets)), len(NEIGHBOURS)]]
            units = torch.relu(torch.addmm(hidden_bias, seen, hidden.T))
            mean, scale = torch.addmm(output_bias, units, output.T).unbind(1)
            found[level] = float(sights.bits(mean, scale + bias / (1 << FRACTION_BITS) + shift).sum())
        return found


def file_sights(path: Path, coarser: int = 1) -> FileSights:
    """The latents of a file.

    Args:
        path: Of the file.
        coarser: How many coarser grids are seen.

    Raises:
        BitstreamError: If it is no file.
    """
    quantized = decode(path.read_bytes(), path.name).quantized
    finest = int(quantized.network.architecture()["finest"])
    grids = [torch.from_numpy(grid.astype(np.float32)) for grid in quantized.integers.values()]
    levels = {finest + index: Sights.of(grids, index, coarser) for index in range(len(grids))}
    return FileSights(path.stem, levels, integer_context(quantized))
