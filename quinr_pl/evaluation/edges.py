"""What a scan's file should take for points that hang between two surfaces."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy.typing as npt

from quinr_pl.signals import Points, SignalSpec
from quinr_pl.signals.point_distortion import nearest

_CANDIDATES = (0, 5, 10, 20)  # percent


def with_best_edges(spec: SignalSpec, values: npt.NDArray, points: Points) -> SignalSpec:
    """A spec whose scanner leaves out those points that make its file better without them.

    Fewer points cover less of the scan, so the worse direction of D1 and the Chamfer distance decide: the
    least product of root mean squared distance and Chamfer distance.

    Args:
        spec: Of the file.
        values: What the file decodes to, (*shape, channels).
        points: Of the scan, (points, 3).
    """
    if spec.scanner is None or spec.scanner.edges is None:
        return spec
    candidates = [replace(spec, scanner=replace(spec.scanner, edges=edges)) for edges in _CANDIDATES]
    return min(candidates, key=lambda candidate: _cost(points, candidate.points(values)))


def _cost(points: Points, decoded: Points | None) -> float:
    if decoded is None or not len(decoded):
        return math.inf
    distances = [nearest(points, decoded)[0], nearest(decoded, points)[0]]
    worst = max(float((distance**2).mean()) for distance in distances)
    return math.sqrt(worst) * sum(float(distance.mean()) for distance in distances)
