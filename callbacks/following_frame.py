"""Fits a frame that is told by the one before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.callbacks.quantization import fitted_network
from quinr_pl.codec import UNLIMITED, Frames
from quinr_pl.datamodules import CoordinateDataModule
from quinr_pl.datamodules.scan_motion import found_motion
from quinr_pl.errors import QuinrError
from quinr_pl.signals import ReferenceFrame


class FollowingFrame(Callback):
    """Lets a fit begin with the weights of another frame and hold its integers as differences to that one's.

    The file that the fit leaves is a part of a file of frames: `quinr_pl.codec.frames.Frames`.

    Args:
        path: A file whose last frame is the other one.
        motion: Whether integers tell instead what differs from the other one, a scan, as it is seen from
            where the scanner has moved to. Weights then stay.
    """

    def __init__(self, path: str, motion: bool = False) -> None:
        self.path, self.motion = path, motion

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Names the other frame to signal and network, before a checkpoint is loaded.

        Raises:
            QuinrError: If the signal cannot be told by the other frame.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        reference = follow_frame(data, Path(self.path))
        if self.motion:
            if reference.targets is None:
                raise QuinrError(
                    f"{self.path}: its last frame is no scan on latents, with rays; leave the motion out"
                )
            add_motion(data)
        predicted = None if data.spec.motion is None else data.spec.predicted()
        fitted_network(pl_module).follow(reference.quantized.values(), predicted)


def follow_frame(data: CoordinateDataModule, path: Path) -> ReferenceFrame:
    """Makes a signal one that is told by another frame.

    Args:
        data: After its ``setup``.
        path: A file whose last frame is the other one.

    Returns:
        The other frame.

    Raises:
        QuinrError: If the signal cannot be told by it.
    """
    reference = Frames(path.read_bytes(), str(path), UNLIMITED)[-1].as_reference()
    spec = data.spec.following(reference)
    if spec is None:
        raise QuinrError(f"{path}: its last frame has another shape, range, mask or scanner than the signal")
    data.follow(spec)
    return reference


def add_motion(data: CoordinateDataModule) -> None:
    """Lets the spec of a scan that follows another one tell how the scanner has moved since then.

    Args:
        data: After `follow_frame`, whose frame has targets.
    """
    data.spec = replace(data.spec, motion=found_motion(data.spec, data.values[..., 0]))
