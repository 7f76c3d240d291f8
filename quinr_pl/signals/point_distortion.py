"""How far decoded points are from those of a scan, as pure functions of arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

PEAK = 59.7
"""Of D1 and D2 in metres: what benchmarks of the codecs of LiDAR points take for KITTI."""
F1_REACH = 0.02
"""In metres."""
POINT_FIGURES = {
    "chamfer": ("Chamfer (m)", "{:.4f}"),
    "d1_psnr": ("D1 PSNR (dB)", "{:.2f}"),
    "d2_psnr": ("D2 PSNR (dB)", "{:.2f}"),
    "f1": ("F1 at 2 cm", "{:.3f}"),
    "bits_per_point": ("bits/point", "{:.4f}"),
}
"""What is told of a scan's file: the heading of each figure, and how it is printed."""
_NEIGHBOURS = 12
_BATCH = 1 << 14

Floats = npt.NDArray[np.float64]


def point_figures(points: npt.NDArray, decoded: npt.NDArray) -> dict[str, float]:
    """The figures that codecs of points are compared by, from the nearest point on the other side of each.

    Args:
        points: Of the scan, (points, 3) in metres.
        decoded: (any number, 3).

    Returns:
        ``chamfer``, the symmetric Chamfer distance in metres: the mean of both directions' mean distances.
        ``d1_psnr`` and ``d2_psnr``, point to point and point to plane, in dB: 10 log10(3 PEAK² / mean squared
        error), of the worse direction, as MPEG's pc_error takes it. ``f1``, the harmonic mean of the shares
        of points on either side that have another within F1_REACH. Without any decoded point the distance is
        infinite.

    Raises:
        ValueError: If the scan has no points.
    """
    if not len(points):
        raise ValueError("no point to compare with")
    if not len(decoded):
        return {"chamfer": math.inf, "d1_psnr": -math.inf, "d2_psnr": -math.inf, "f1": 0.0}
    points, decoded = points.astype(np.float64), decoded.astype(np.float64)
    there, to_decoded = nearest(points, decoded)
    back, to_points = nearest(decoded, points)
    normals = surface_normals(points)
    planes = (
        _along(points - decoded[to_decoded], normals),
        _along(decoded - points[to_points], normals[to_points]),
    )
    precision, recall = float(np.mean(back <= F1_REACH)), float(np.mean(there <= F1_REACH))
    return {
        "chamfer": float(there.mean() + back.mean()) / 2,
        "d1_psnr": _psnr(max(_mean_square(there), _mean_square(back))),
        "d2_psnr": _psnr(max(map(_mean_square, planes))),
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
    }


def surface_normals(points: npt.NDArray, neighbours: int = _NEIGHBOURS) -> Floats:
    """Unit normal, of either sign, of the plane through each point's nearest neighbours (Hoppe et al. 1992).

    Args:
        points: (points, 3).
        neighbours: How many, the point itself among them; all where there are fewer.

    Returns:
        (points, 3).
    """
    points = points.astype(np.float64)
    tree, normals = _tree(points), np.empty_like(points)
    count = min(neighbours, len(points))
    for start in range(0, len(points), _BATCH):
        batch = points[start : start + _BATCH]
        near = points[tree.query(batch, count)[1].reshape(len(batch), count)]
        centred = near - near.mean(axis=1, keepdims=True)
        normals[start : start + _BATCH] = np.linalg.eigh(centred.transpose(0, 2, 1) @ centred)[1][:, :, 0]
    return normals


def nearest(points: npt.NDArray, others: npt.NDArray) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Distance of each point to the nearest of the others, and its index: (points,) each."""
    distance, index = _tree(others).query(points)
    return distance, index


def _tree(points: Floats) -> Any:
    from scipy.spatial import cKDTree  # takes a third of a second: not for those who decode

    return cKDTree(points)


def _along(vectors: Floats, normals: Floats) -> Floats:
    return (vectors * normals).sum(axis=1)


def _mean_square(errors: Floats) -> float:
    return float(np.square(errors).mean())


def _psnr(error: float) -> float:
    return 10 * math.log10(3 * PEAK**2 / error) if error > 0 else math.inf
