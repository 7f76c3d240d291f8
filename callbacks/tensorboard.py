"""Pictures for TensorBoard."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from quinr_pl.signals import SignalSpec


def writers(trainer: pl.Trainer) -> list[Any]:
    """The TensorBoard writers of the process that logs; none on the others or without the logger."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def picture(values: npt.NDArray, spec: SignalSpec) -> npt.NDArray[np.uint8]:
    """Values as an RGB picture: colours as they are, other signals in false colours.

    Args:
        values: (height, width, channels).
        spec: Of the signal.

    Returns:
        (height, width, 3) uint8.
    """
    unit = spec.normalize(values)
    if spec.kind.is_integer:
        colours = unit[..., :3] if spec.channels >= 3 else np.repeat(unit[..., :1], 3, axis=2)
    else:
        colours = matplotlib.colormaps["turbo"](unit[..., 0])[..., :3]
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)


def error_picture(
    values: npt.NDArray, decoded: npt.NDArray, spec: SignalSpec, full_scale: float = 0.25
) -> npt.NDArray[np.uint8]:
    """Mean absolute error of each pixel; the brightest colour is ``full_scale`` of the range or more.

    Returns:
        (height, width, 3) uint8.
    """
    error = np.abs(spec.normalize(values) - spec.normalize(decoded)).mean(axis=2)
    colours = matplotlib.colormaps["inferno"](np.clip(error / full_scale, 0, 1))[..., :3]
    return np.rint(colours * 255).astype(np.uint8)
