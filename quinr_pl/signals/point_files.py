"""Files of points: what a scan decodes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quinr_pl.signals.intensity import Intensities
from quinr_pl.signals.scanner import Points

_PLY = """ply
format binary_little_endian 1.0
element vertex {count}
{properties}
end_header
"""
_PCD = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {fields}
SIZE {sizes}
TYPE {types}
COUNT {counts}
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA binary
"""

POINT_SUFFIXES = (".npy", ".ply", ".pcd", ".bin")
"""Of the files that points are written to, the usual one first."""


def write_points(points: Points, path: Path, intensities: Intensities | None = None) -> None:
    """Write points as the suffix says.

    ``.npy`` holds (points, 3) float32; ``.bin`` is KITTI's x, y, z and a remission, 0 where there are no
    intensities; ``.ply`` and ``.pcd`` are binary, with x, y and z.
    Intensities are each point's fourth number.

    Args:
        points: (points, 3), in metres.
        path: Where; one of `POINT_SUFFIXES`. Whatever lies there is overwritten.
        intensities: (points,), if they are known.
    """
    suffix, names = path.suffix.lower(), ["x", "y", "z"]
    numbers = points.astype("<f4")
    if intensities is not None:
        names.append("intensity")
        numbers = np.column_stack([numbers, intensities]).astype("<f4")
    if suffix == ".npy":
        with path.open("wb") as file:
            np.save(file, numbers)
    elif suffix == ".bin":
        path.write_bytes(np.pad(numbers, ((0, 0), (0, 4 - len(names)))).tobytes())
    else:
        header = (_PLY if suffix == ".ply" else _PCD).format(
            count=len(points),
            properties="\n".join(f"property float {name}" for name in names),
            fields=" ".join(names),
            sizes=" ".join("4" for _ in names),
            types=" ".join("F" for _ in names),
            counts=" ".join("1" for _ in names),
        )
        path.write_bytes(header.encode("ascii") + numbers.tobytes())
