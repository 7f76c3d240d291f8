"""Files of points that name their fields: `.pcd`, `.ply`, `.las` and `.laz`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.pcd import Columns, read_pcd
from quinr_pl.datamodules.scan_file import check_reach, finite_points
from quinr_pl.errors import QuinrError
from quinr_pl.optional_package import optional_package

_BEAM_FIELDS = ("ring", "channel", "beam", "laser_id", "laser", "line")
"""Names that drivers give to the number of a point's beam."""
_INTENSITY_FIELDS = ("intensity", "remission", "reflectivity", "reflectance")
"""Names that they give to the strength of a return."""


def read_points(
    path: Path, unit: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """The points of a file, without those that have no place, as where organized clouds have no return.

    Args:
        path: With one of `POINT_READERS`' suffixes.
        unit: Metres that a coordinate of 1 stands for.

    Returns:
        (points, 3 or 4) float32: x, y and z in metres, and the number of the beam where the file has one; and
        (points,) intensities, 0 for what is none, where it has any.

    Raises:
        QuinrError: If the file is malformed, its points are not those of a scanner, or the package that reads
            it is not installed.
    """
    columns = POINT_READERS[path.suffix.lower()](path)
    by_name = {name.lower(): column for name, column in columns.items()}
    missing = [axis for axis in "xyz" if axis not in by_name]
    if missing:
        raise QuinrError(f"{path}: no field {missing[0]}; a scan has x, y and z")
    xyz = np.stack([by_name[axis].astype(np.float64) for axis in "xyz"], axis=1) * unit
    placed = np.isfinite(xyz).all(axis=1)
    if not placed.any():
        raise QuinrError(f"{path}: no point with finite x, y and z")
    check_reach(xyz[placed], path)
    beam, intensity = (
        next((by_name[name] for name in names if name in by_name), None)
        for names in (_BEAM_FIELDS, _INTENSITY_FIELDS)
    )
    table = xyz if beam is None else np.column_stack([xyz, beam])
    if intensity is not None:
        intensity = np.nan_to_num(intensity[placed].astype(np.float32), posinf=0.0, neginf=0.0)
    return finite_points(table[placed], path), intensity


def _read_ply(path: Path) -> Columns:
    plyfile = optional_package("plyfile", str(path))
    try:
        vertices = plyfile.PlyData.read(str(path))["vertex"]
        scalars = [one.name for one in vertices.properties if type(one).__name__ == "PlyProperty"]
        return {name: np.asarray(vertices[name]) for name in scalars}
    except (plyfile.PlyParseError, ValueError, KeyError, IndexError) as error:
        reason = str(error).split("\n")[0]
        raise QuinrError(f"{path}: cut or not a PLY file of vertices ({reason}); write it again") from error


def _read_las(path: Path) -> Columns:
    laspy = optional_package("laspy", str(path))
    try:
        las = laspy.read(path)
    except Exception as error:  # laspy and its back ends raise whatever the broken file leads to
        reason = str(error).split("\n")[0]
        raise QuinrError(f"{path}: cut or not a LAS file ({reason}); write it again") from error
    extra = {name: np.asarray(las[name]) for name in las.point_format.extra_dimension_names}
    extra["intensity"] = np.asarray(las.intensity)
    return {**extra, "x": np.asarray(las.x), "y": np.asarray(las.y), "z": np.asarray(las.z)}


POINT_READERS = {".pcd": read_pcd, ".ply": _read_ply, ".las": _read_las, ".laz": _read_las}
"""By the suffix of the files, in lower case."""
