"""Checkpoints that are whole or not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.cloud_io import _is_local_file_protocol
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.plugins.io.wrapper import _WrappingCheckpointIO

from quinr_pl.atomic_file import make_folder, write_bytes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes local checkpoints aside in their own folder, and renames them when they are on the disk.

    Lightning writes them to the folder for temporary files, and where that is another file system it
    empties the old checkpoint before the copy has succeeded: a full disk then takes both.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; see `TorchCheckpointIO` for the arguments.

        Raises:
            QuinrError: If the disk is full, or nothing can be written there.
        """
        if storage_options is not None or not _is_local_file_protocol(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        make_folder(Path(path).parent)
        with buffer.getbuffer() as whole:  # released before its buffer goes, in whatever order they would
            write_bytes(Path(path), whole)


def write_checkpoints_atomically(trainer: pl.Trainer) -> None:
    """Has a trainer save by `AtomicCheckpointIO`, unless the user's plugins say how it saves."""
    present = trainer.strategy.checkpoint_io
    if type(present) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()
    while isinstance(present, _WrappingCheckpointIO):  # such as one that saves in a thread
        if type(present.checkpoint_io) is TorchCheckpointIO:
            present._checkpoint_io = AtomicCheckpointIO()
        present = present.checkpoint_io  # type: ignore[assignment]
