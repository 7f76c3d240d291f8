"""Files of points: what a scan decodes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quinr_pl.signals.scanner import Points

_PLY = """ply
format binary_little_endian 1.0
element vertex {count}
property float x
property float y
property float z
end_header
"""
_PCD = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z
SIZE 4 4 4
TYPE F F F
COUNT 1 1 1
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA binary
"""

POINT_SUFFIXES = (".npy", ".ply", ".pcd", ".bin")
"""Of the files that points are written to, the usual one first."""


def write_points(points: Points, path: Path) -> None:
    """Write points as the suffix says.

    ``.npy`` holds (points, 3) float32; ``.bin`` is KITTI's x, y, z and a remission, here 0; ``.ply`` and
    ``.pcd`` are binary, with x, y and z.

    Args:
        points: (points, 3), in metres.
        path: Where; one of `POINT_SUFFIXES`. Whatever lies there is overwritten.
    """
    suffix, numbers = path.suffix.lower(), points.astype("<f4")
    if suffix == ".npy":
        with path.open("wb") as file:
            np.save(file, numbers)
    elif suffix == ".bin":
        path.write_bytes(np.pad(numbers, ((0, 0), (0, 1))).tobytes())
    else:
        header = (_PLY if suffix == ".ply" else _PCD).format(count=len(points))
        path.write_bytes(header.encode("ascii") + numbers.tobytes())
