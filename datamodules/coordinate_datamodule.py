"""The common base of the datamodules: one signal, its targets in [0, 1] and their inverse."""

from __future__ import annotations

import warnings
from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from quinr_pl.datamodules.coordinates import (
    ConsecutiveBlockSampler,
    CoordinateDataset,
    RandomBlockSampler,
    ResumableBlocks,
    WholeSignalSampler,
)
from quinr_pl.fields import require_at_least
from quinr_pl.signals import Points, Signal, SignalSpec, coordinates


class CoordinateDataModule(LightningDataModule):
    """Serves one signal as (coordinates, targets).

    Subclasses give `read`. Training blocks are random; validation, test and
    prediction blocks cover the signal in order.

    Args:
        name: Short name of the signal: the stem of the files made from it.
        batch_size: Coordinates in a training step; null for the whole signal, in order, in training and
            evaluation alike, as networks with latent grids take it.
        steps_per_epoch: Training steps in an epoch; one pass over the signal when left out.
        eval_batch_size: Coordinates in a block of validation, test and prediction.
        seed: Seed of the order of training coordinates.

    Attributes:
        spec: Shape and range of the signal, after `setup`, as are the following.
        values: (*shape, channels), the original values.
        targets: (pixels, channels) float32 in [0, 1]; NaN for pixels that the mask of the spec leaves
            out, or that have no return although it keeps them.
        coordinates: (pixels, axes) float32 in [-1, 1].
        valid: (*shape) bool of pixels with a return; None where every pixel counts.
        points: (points, 3) of the scan that a range image was made from; None for other signals.
    """

    name: str
    spec: SignalSpec
    values: npt.NDArray
    targets: Tensor
    coordinates: Tensor
    valid: npt.NDArray[np.bool_] | None
    points: Points | None

    def __init__(
        self,
        name: str,
        batch_size: int | None = 4096,
        steps_per_epoch: int | None = None,
        eval_batch_size: int = 65536,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(
            1,
            {
                "--data.batch_size": batch_size,
                "--data.steps_per_epoch": steps_per_epoch,
                "--data.eval_batch_size": eval_batch_size,
            },
        )
        self.name = name
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self._dataset: CoordinateDataset | None = None
        self._placed: CoordinateDataset | None = None

    @property
    def channels(self) -> int:
        """Values at each pixel, known before `setup`: the signal is read for it, unless a subclass knows."""
        return self.read().spec.channels

    @property
    def axes(self) -> int:
        """Axes of the signal, the channels' left out, likewise."""
        return len(self.read().spec.shape)

    @abstractmethod
    def read(self) -> Signal:
        """Read the signal.

        Raises:
            QuinrError: If it is missing or malformed.
        """

    def setup(self, stage: str | None = None) -> None:
        """Read the signal once and lay out its coordinates and targets."""
        if self._dataset is not None:
            return
        signal = self.read()
        self.values, self.spec, self.valid = signal.values, signal.spec, signal.valid
        self.points = signal.points
        self._lay_out()

    def _lay_out(self) -> None:
        targets = self.spec.normalize(self.values).reshape(self.spec.pixels, self.spec.channels)
        if self.spec.mask is not None:
            measured = self.spec.mask if self.valid is None else self.spec.mask & self.valid
            targets[~measured.ravel()] = np.nan
        self.targets = torch.from_numpy(np.ascontiguousarray(targets))
        self.coordinates = coordinates(self.spec.shape)
        self._dataset = CoordinateDataset(self.coordinates, self.targets)

    def follow(self, spec: SignalSpec) -> None:
        """Take the spec of a frame that is told by another one, whose range gives the targets."""
        self.spec = spec
        self._lay_out()

    def train_dataloader(self) -> DataLoader:
        """Blocks of random (coordinates, targets): (batch_size, axes) and (batch_size, channels)."""
        if self.batch_size is None:
            return ResumableBlocks(
                self._laid_out(), WholeSignalSampler(self.spec.pixels, self.steps_per_epoch)
            )
        trainer = self.trainer
        dataset = self._laid_out()
        if self.spec.mask is not None:
            counted = torch.from_numpy(self.spec.counted_pixels())
            dataset = CoordinateDataset(self.coordinates[counted], self.targets[counted])
            dataset = dataset.to(self._device())
        sampler = RandomBlockSampler(
            len(dataset),
            self.batch_size,
            self.steps_per_epoch,
            self.seed,
            num_replicas=trainer.world_size if trainer else 1,
            rank=trainer.global_rank if trainer else 0,
            device=self._device(),
        )
        return ResumableBlocks(dataset, sampler)

    def val_dataloader(self) -> DataLoader:
        """Blocks of consecutive (coordinates, targets), in row-major order."""
        block = self.spec.pixels if self.batch_size is None else self.eval_batch_size
        sampler = ConsecutiveBlockSampler(self.spec.pixels, block)
        return DataLoader(self._laid_out(), batch_size=None, sampler=sampler, generator=torch.Generator())

    def test_dataloader(self) -> DataLoader:
        """The whole signal in blocks, as `val_dataloader` gives it."""
        return self.val_dataloader()

    def predict_dataloader(self) -> DataLoader:
        """The whole signal in blocks, as `val_dataloader` gives it."""
        return self.val_dataloader()

    def _laid_out(self) -> CoordinateDataset:
        # Lightning asks for worker processes, which would only copy what already lies in memory.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        assert self._dataset is not None, "setup() comes first"
        if self._placed is None or self._placed.coordinates.device != self._device():
            self._placed = self._dataset.to(self._device())
        return self._placed

    def _device(self) -> torch.device:
        """Where the signal lies while a trainer works on it: a GPU draws its blocks without the host."""
        device: torch.device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return device if device.type == "cuda" else torch.device("cpu")
