"""A ray-cast street scene: a laser scan that needs no data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.range_image import range_image_signal
from quinr_pl.datamodules.scan_datamodule import RangeImageDataModule
from quinr_pl.datamodules.scan_file import intensities_of
from quinr_pl.errors import QuinrError
from quinr_pl.signals import Signal

_SCANNER_HEIGHT = 1.73  # metres above the road, as on KITTI's car
_MAX_RANGE = 120.0
_ROAD_HALF_WIDTH = 7.0


class SyntheticScanDataModule(RangeImageDataModule):
    """The range image of a street that a 64-beam scanner sees, drawn from a seed.

    It takes the same way through the projection as a KITTI scan.

    Args:
        scene: Seed of the street and of the noise.
        noise: Standard deviation of the ranges in metres.
        dropout: Share of the rays that return nothing although they hit.
        **projection: Further arguments of `RangeImageDataModule`.
    """

    def __init__(
        self,
        scene: int = 0,
        noise: float = 0.02,
        dropout: float = 0.02,
        **projection: Any,
    ) -> None:
        super().__init__(f"street-{scene}", **projection)
        if scene < 0:
            raise QuinrError(f"--data.scene {scene}: must be 0 or more")
        if not 0 <= noise < math.inf:
            raise QuinrError(f"--data.noise {noise}: must be 0 or more metres")
        if not 0 <= dropout < 1:
            raise QuinrError(f"--data.dropout {dropout}: must be a share of the points, from 0 to below 1")
        self.scene = scene
        self.noise = noise
        self.dropout = dropout

    def read(self) -> Signal:
        """Draw, cast and project the scene."""
        points = street_scan(self.scene, self.noise, self.dropout)
        return range_image_signal(points, self.projection, self.name, intensities_of(points))


def street_scan(
    scene: int,
    noise: float = 0.02,
    dropout: float = 0.02,
    beams: int | npt.NDArray[np.float64] = 64,
    azimuths: int = 2000,
) -> npt.NDArray[np.float32]:
    """A scan of a street with houses, cars and poles.

    Args:
        scene: Seed of the street and of the noise.
        noise: Standard deviation of the ranges in metres.
        dropout: Share of the hits that return nothing.
        beams: Number of beams, evenly from 2° above to 24.8° below the horizon; or the elevation of each in
            degrees, from the top.
        azimuths: Rays of a beam.

    Returns:
        (points, 4) float32 x forward, y left, z up and a remission, beam after beam from the top.
    """
    generator = np.random.default_rng(scene)
    lower, upper, poles = _street(generator)
    elevations = np.linspace(2.0, -24.8, beams) if isinstance(beams, int) else beams
    elevation = np.radians(elevations)[:, None]
    # Half a step off the seam: no ray may jitter across it.
    azimuth = 2 * np.pi * (np.arange(azimuths) + 0.5)[None, :] / azimuths
    rays = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.broadcast_to(np.sin(elevation), (len(elevation), azimuths)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    distance = np.minimum(_ground(rays), _poles(rays, poles))
    for low, high in zip(lower, upper, strict=True):
        distance = np.minimum(distance, _box(rays, low, high))
    hit = (distance < _MAX_RANGE) & (generator.random(len(rays)) >= dropout)
    measured = distance[hit] + generator.normal(0.0, noise, int(hit.sum()))
    points = rays[hit] * np.maximum(measured, 0.5)[:, None]
    remission = generator.random((len(points), 1))
    return np.hstack([points, remission]).astype(np.float32)


def _street(generator: np.random.Generator) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Lower and upper corners of the boxes, (boxes, 3) each, and the poles' (poles, 3): x, y, radius."""
    corners = []
    for side in (-1.0, 1.0):
        x = -70.0
        while x < 80.0:  # houses, with gaps between them
            length, depth, height = generator.uniform([6, 6, 4], [18, 12, 12])
            front = _ROAD_HALF_WIDTH + generator.uniform(1.0, 6.0)
            corners.append(_standing(x, side, front, length, depth, height))
            x += length + generator.uniform(0.5, 8.0)
        x = -40.0 + generator.uniform(0.0, 5.0)
        while x < 50.0:  # cars parked along the kerb, none where the scanner stands
            length, depth, height = generator.uniform([3.6, 1.6, 1.4], [4.8, 1.9, 1.8])
            corners.append(_standing(x, side, _ROAD_HALF_WIDTH - 2.5, length, depth, height))
            x += length + generator.uniform(1.0, 14.0)
    boxes = np.array(corners)
    along = np.arange(-60.0, 61.0, 12.0) + generator.uniform(-2.0, 2.0, 11)
    sides = np.where(np.arange(11) % 2 == 0, -1.0, 1.0) * (_ROAD_HALF_WIDTH + 0.5)
    poles = np.stack([along, sides, generator.uniform(0.08, 0.25, 11)], axis=1)
    return boxes[:, 0], boxes[:, 1], poles


def _standing(
    x: float, side: float, front: float, length: float, depth: float, height: float
) -> tuple[list[float], list[float]]:
    """Corners of a box on the ground, `front` metres to one side of the scanner's track."""
    near, far = sorted((side * front, side * (front + depth)))
    return [x, near, -_SCANNER_HEIGHT], [x + length, far, height - _SCANNER_HEIGHT]


def _ground(rays: npt.NDArray) -> npt.NDArray:
    with np.errstate(divide="ignore"):
        distance = -_SCANNER_HEIGHT / rays[:, 2]
    return np.where(distance > 0, distance, np.inf)


def _box(rays: npt.NDArray, low: npt.NDArray, high: npt.NDArray) -> npt.NDArray:
    """Distances to an axis-aligned box by the slab method (Kay and Kajiya 1986)."""
    with np.errstate(divide="ignore"):
        first, second = low / rays, high / rays
    entry = np.minimum(first, second).max(axis=1)
    leave = np.maximum(first, second).min(axis=1)
    return np.where((entry <= leave) & (entry > 0), entry, np.inf)


def _poles(rays: npt.NDArray, poles: npt.NDArray) -> npt.NDArray:
    """Distances to the nearest of endless upright cylinders; nothing in view is taller than a pole."""
    level = np.hypot(rays[:, 0], rays[:, 1])
    nearest = np.full(len(rays), np.inf)
    for x, y, radius in poles:
        along = (rays[:, 0] * x + rays[:, 1] * y) / level
        off = (rays[:, 0] * y - rays[:, 1] * x) / level
        depth = np.sqrt(np.maximum(radius**2 - off**2, 0.0))
        nearest = np.where(
            (np.abs(off) < radius) & (along > 0), np.minimum(nearest, (along - depth) / level), nearest
        )
    return nearest
