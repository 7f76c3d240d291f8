"""A signal as a dataset of coordinates and targets, read in blocks and never pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler


class CoordinateDataset(Dataset):
    """Coordinates and targets of one signal, indexed by whole blocks.

    Args:
        coordinates: Coordinates in [-1, 1], (pixels, in_features).
        targets: (pixels, out_features), in [0, 1].
    """

    def __init__(self, coordinates: Tensor, targets: Tensor) -> None:
        if len(coordinates) != len(targets):
            raise ValueError(f"{len(coordinates)} coordinates for {len(targets)} targets")
        # Side by side, a pixel is one piece of memory: random blocks take a tenth of the time.
        self._rows = torch.cat([coordinates, targets], dim=1)
        self.coordinates, self.targets = self._split(self._rows, coordinates.shape[1])

    def to(self, device: torch.device) -> CoordinateDataset:
        """The dataset in the memory of a device, which indices must share."""
        return (
            self
            if device == self._rows.device
            else CoordinateDataset(self.coordinates.to(device), self.targets.to(device))
        )

    def __len__(self) -> int:
        return len(self.coordinates)

    def __getitem__(self, block: Tensor | slice) -> tuple[Tensor, Tensor]:
        """The pixels of a block, given as an index tensor (block,) or a slice."""
        rows = self._rows[block] if isinstance(block, slice) else self._rows.index_select(0, block)
        return self._split(rows, self.coordinates.shape[1])

    @staticmethod
    def _split(rows: Tensor, in_features: int) -> tuple[Tensor, Tensor]:
        return rows[:, :in_features], rows[:, in_features:]


class RandomBlockSampler(DistributedSampler):
    """Blocks of distinct random pixels, the same for the same seed, epoch and rank.

    One permutation of all pixels after the other is cut into blocks, so that each pixel is seen equally
    often. The ranks of a distributed run cut the same permutation and take turns, so that together they
    share the signal.

    It derives from ``DistributedSampler`` because Lightning leaves samplers of that type in place and
    calls their ``set_epoch``.

    Args:
        pixels: Size of the signal.
        batch_size: Pixels in a block; a signal smaller than that gives blocks of its own size.
        steps_per_epoch: Blocks for each rank in an epoch; one pass over the signal when left out. The
            last block of a pass is filled up from the next permutation.
        seed: Seed of the permutations.
        num_replicas: Number of ranks.
        rank: Number of this process, from 0.
        device: Where the blocks lie; the permutations are the same everywhere.

    Attributes:
        skip: Blocks to leave out at the start of the next epoch: an interrupted fit has taken them.
    """

    def __init__(
        self,
        pixels: int,
        batch_size: int,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(range(pixels), num_replicas=num_replicas, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.pixels = pixels
        self.block = min(batch_size, pixels)
        self.steps = steps_per_epoch or -(-pixels // (self.block * num_replicas))
        self.device = device
        self.skip = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(_mixed_seed(self.seed, self.epoch))
        queue = torch.empty(0, dtype=torch.long, device=self.device)
        share = self.block * self.num_replicas
        skip, self.skip = self.skip, 0
        draw = partial(torch.randperm, self.pixels, generator=generator)
        with ThreadPoolExecutor(1) as ahead:  # the steps need not wait for the next permutation
            upcoming = ahead.submit(draw)
            for step in range(self.steps):
                while len(queue) < share:
                    queue = torch.cat([queue, upcoming.result().to(self.device)])
                    upcoming = ahead.submit(draw)
                taken, queue = queue[:share], queue[share:]
                if step >= skip:
                    yield taken[self.rank * self.block : (self.rank + 1) * self.block]


class WholeSignalSampler(DistributedSampler):
    """The whole signal in order, at every step and on every rank.

    Args:
        pixels: Size of the signal.
        steps_per_epoch: Steps in an epoch; one when left out.

    Attributes:
        skip: Steps to leave out at the start of the next epoch: an interrupted fit has taken them.
    """

    def __init__(self, pixels: int, steps_per_epoch: int | None = None) -> None:
        super().__init__(range(pixels), num_replicas=1, rank=0, shuffle=False)  # type: ignore[arg-type]
        self.pixels = pixels
        self.steps = steps_per_epoch or 1
        self.skip = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[slice]:
        skip, self.skip = self.skip, 0
        for _ in range(skip, self.steps):
            yield slice(0, self.pixels)


class ConsecutiveBlockSampler(DistributedSampler):
    """Slices that cover the signal once, in order, on every rank.

    Each rank of a distributed run sees the whole signal: means over the blocks are then exact without any
    exchange, and no rank pads.

    Args:
        pixels: Size of the signal.
        block: Pixels in a slice; the last may be smaller.
    """

    def __init__(self, pixels: int, block: int) -> None:
        super().__init__(range(pixels), num_replicas=1, rank=0, shuffle=False)  # type: ignore[arg-type]
        self.pixels = pixels
        self.block = block

    def __len__(self) -> int:
        return -(-self.pixels // self.block)

    def __iter__(self) -> Iterator[slice]:
        for start in range(0, self.pixels, self.block):
            yield slice(start, min(start + self.block, self.pixels))


class ResumableBlocks(DataLoader):
    """Training blocks that go on within an epoch where an interrupted fit stopped.

    Lightning saves ``state_dict`` with its checkpoints and gives it back before the first block.

    Args:
        dataset: Coordinates and targets.
        sampler: Draws the blocks of pixels.
    """

    def __init__(self, dataset: CoordinateDataset, sampler: RandomBlockSampler | WholeSignalSampler) -> None:
        super().__init__(dataset, batch_size=None, sampler=sampler)
        self._blocks = sampler
        self._taken = 0

    def __iter__(self) -> Any:
        # DataLoader's own iterator takes longer than a block, and draws from the generator of the noise.
        self._taken = self._blocks.skip
        for pixels in self._blocks:
            self._taken += 1
            yield self.dataset[pixels]

    def state_dict(self) -> dict[str, int]:
        """How many blocks of the present epoch were taken."""
        return {"taken": self._taken % len(self._blocks)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Skips them in the next epoch that starts."""
        self._blocks.skip = state["taken"]


def _mixed_seed(seed: int, epoch: int) -> int:
    # `seed + epoch` would give epoch 1 of seed 0 the permutations of epoch 0 of seed 1.
    return (seed * 1_000_003 + epoch * 2_654_435_761) % 2**63
