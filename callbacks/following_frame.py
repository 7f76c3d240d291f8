"""Fits a frame that is told by the one before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.codec import UNLIMITED, Frames
from quinr_pl.codec.file.source import read_source
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.datamodules.scan_motion import found_motion
from quinr_pl.errors import QuinrError
from quinr_pl.signals import ReferenceFrame


class FollowingFrame(Callback):
    """Lets a fit begin with the weights of another frame, and add its integers to that one's.

    The file that the fit leaves is a part of a file of frames: `quinr_pl.codec.frames.Frames`.

    Args:
        path: A file whose last frame is the other one.
        motion: Whether integers tell instead what differs from the other one, a scan, as it is seen from
            where the scanner has moved to. Weights then stay.
        anew: Whether integers stand for themselves, with nothing added to them: where things have moved on.
    """

    def __init__(self, path: str, motion: bool = False, anew: bool = False) -> None:
        self.path, self.motion, self.anew = path, motion, anew
        self._reference: ReferenceFrame | None = None

    @classmethod
    def after(cls, reference: ReferenceFrame, motion: bool = False, anew: bool = False) -> FollowingFrame:
        """One whose other frame is decoded already."""
        following = cls("the frame before", motion, anew)
        following._reference = reference
        return following

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Names the other frame to signal and network, before a checkpoint is loaded.

        Raises:
            QuinrError: If the signal cannot be told by the other frame.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        reference = self.follow(data)
        if self.motion:
            if reference.targets is None:
                raise QuinrError(
                    f"{self.path}: its last frame is no scan on latents, with rays; leave the motion out"
                )
            add_motion(data)
        predicted = None if data.spec.motion is None else data.spec.predicted()
        fitted_network(pl_module).follow(reference.quantized.values(), predicted)

    def follow(self, data: CoordinateDataModule) -> ReferenceFrame:
        """Makes a signal one that is told by the other frame, which is decoded once.

        Args:
            data: After its ``setup``.

        Returns:
            The other frame.

        Raises:
            QuinrError: If the signal cannot be told by it.
        """
        if self._reference is None:
            source, name = read_source(self.path)
            self._reference = Frames(source, name, UNLIMITED)[-1].as_reference()
        reference = self._reference
        if self.anew:
            reference = replace(reference, quantized=reference.quantized.without_integers(), anew=True)
        spec = data.spec.following(reference)
        if spec is None:
            raise QuinrError(
                f"{self.path}: its last frame has another shape, range, mask or scanner than the signal"
            )
        data.follow(spec)
        return reference


def add_motion(data: CoordinateDataModule) -> None:
    """Lets the spec of a scan that follows another one tell how the scanner has moved since then.

    Args:
        data: After `FollowingFrame.follow`, whose frame has targets.
    """
    data.spec = replace(data.spec, motion=found_motion(data.spec, data.values[..., 0]))
