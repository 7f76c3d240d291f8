"""Writers of TensorBoard."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger


def writers(trainer: pl.Trainer) -> list[Any]:
    """The TensorBoard writers of the process that logs; none on the others or without the logger."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
