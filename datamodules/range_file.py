"""Range images that come as files: arrays and 16-bit pictures of distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quinr_pl.datamodules.array_file import read_array
from quinr_pl.datamodules.notice import notice
from quinr_pl.datamodules.picture import read_picture
from quinr_pl.datamodules.range_image import Projection
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Scanner, Signal
from quinr_pl.signals.range_image import KITTI_DEPTH_SCALE
from quinr_pl.signals.scanner import UNITS


def read_range_image(path: Path, projection: Projection, unit: float | None = None) -> Signal:
    """The range image of a file: metres, and no return where it has 0, a negative number or none at all.

    Args:
        path: ``.npy`` of (height, width), with or without an axis of one channel; else a gray picture.
        projection: Its peak cuts longer ranges. Its field of view, where it has one, is that of the rows.
        unit: Metres that 1 stands for; KITTI's 1/256 for pictures and 1 for arrays when left out.

    Raises:
        QuinrError: If the file is malformed, has several channels, or not a single return.
    """
    array = path.suffix.lower() == ".npy"
    values = np.asarray(read_array(path) if array else read_picture(path))
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2:
        raise QuinrError(f"{path}: shape {values.shape}; --data.range_image true needs (height, width)")
    metres = values.astype(np.float64) * (unit or (1.0 if array else 1 / KITTI_DEPTH_SCALE))
    valid = np.isfinite(metres) & (metres > 0)
    if not valid.any():
        raise QuinrError(f"{path}: no pixel has a return, a distance above 0")
    peak = projection.reaching(float(metres[valid].max()))
    beyond = int((metres[valid] > peak).sum())
    if beyond:
        notice(
            f"{path}: of {int(valid.sum())} ranges {beyond} lie beyond --data.peak {peak:g} and are cut to it"
        )
    ranges = np.where(valid, np.minimum(metres, peak, where=valid, out=np.zeros_like(metres)), 0.0)
    ranges = ranges.astype(np.float32)
    spec = projection.spec(ranges, valid, _scanner(projection, len(ranges)), peak)
    return Signal(ranges[:, :, None], spec, valid)


def _scanner(projection: Projection, rows: int) -> Scanner | None:
    """Rays of even rows, where their field of view is known."""
    if projection.fov_up is None or projection.fov_down is None:
        return None
    return Scanner.even(rows, round(projection.fov_up * UNITS), round(projection.fov_down * UNITS))
