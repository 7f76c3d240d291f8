"""What a frame shows from another place, for independent_decoder.py, from docs/format.md pixel by pixel."""

from __future__ import annotations

from math import atan2, cos, floor, pi, radians, sin, sqrt, tan
from typing import Any

import numpy as np


def read_motion(stream: Any) -> tuple[list[int], list[int]]:
    """Rotation in hundredths of a degree and translation in centimetres, three numbers each."""

    def number() -> int:
        code = stream.varint()
        return -(code + 1) // 2 if code % 2 else code // 2

    return [number() for _ in range(3)], [number() for _ in range(3)]


def moved_view(
    values: np.ndarray,
    scanner: dict[str, Any],
    motion: tuple[list[int], list[int]],
    low: float,
    high: float,
) -> np.ndarray:
    """(height, width, channels) that a frame of such values shows, from where its scanner has moved to."""
    height, width, _ = values.shape
    (rx, ry, rz), move = ([radians(angle / 100) for angle in motion[0]], [n / 100 for n in motion[1]])
    about_x = np.array([[1, 0, 0], [0, cos(rx), -sin(rx)], [0, sin(rx), cos(rx)]])
    about_y = np.array([[cos(ry), 0, sin(ry)], [0, 1, 0], [-sin(ry), 0, cos(ry)]])
    about_z = np.array([[cos(rz), -sin(rz), 0], [sin(rz), cos(rz), 0], [0, 0, 1]])
    matrix = about_z @ about_y @ about_x
    elevations = [radians(e / 100) for e in scanner["elevations"]]
    heights = [h / 100 for h in scanner["heights"]]
    start, turn = radians(scanner["azimuth"] / 100), radians(scanner["turn"] / 100)

    def clamp(number: float, least: float, most: float) -> float:
        return min(max(number, least), most)

    def row_of(level: float, z: float, near: float) -> float:
        j = int(clamp(floor(near), 0, max(height - 2, 0)))
        k = min(j + 1, height - 1)
        above, below = (z - heights[i] - level * tan(elevations[i]) for i in (j, k))
        step = above / (above - below) if abs(above - below) > 1e-6 else 0.0
        return clamp(j + clamp(step, -4, 4), 0, height - 1)

    def column_of(x: float, y: float) -> float:
        share = ((1 if turn > 0 else -1) * (atan2(y, x) - start) / (2 * pi)) % 1
        sector = abs(turn) / (2 * pi)
        if share >= (sector + 1) / 2:
            share -= 1
        return share / sector * width - 0.5

    def sample(row: float, column: float) -> np.ndarray:
        j, i = int(clamp(floor(row), 0, max(height - 2, 0))), floor(column)
        b, a = row - j, column - i
        rows = [j, min(j + 1, height - 1)]
        columns = [i % width, (i + 1) % width]
        if abs(scanner["turn"]) < 36000:
            columns = [int(clamp(i, 0, width - 1)), int(clamp(i + 1, 0, width - 1))]
        four = [[values[y, x] for x in columns] for y in rows]
        ranges = [corner[0] for line in four for corner in line]
        if max(ranges) > 1.15 * min(ranges):
            return four[0 if b < 0.5 else 1][0 if a < 0.5 else 1]
        lines = [(1 - a) * left + a * right for left, right in four]
        return (1 - b) * lines[0] + b * lines[1]

    found = np.zeros_like(values)
    for y in range(height):
        e, h = elevations[y], heights[y]
        for x in range(width):
            azimuth = start + turn * (x + 0.5) / width
            r, row = values[y, x, 0], float(y)
            for _ in range(3):
                t = max(0.0, sqrt(max(0.0, r * r - (h * cos(e)) ** 2)) - h * sin(e))
                point = [t * cos(e) * cos(azimuth), t * cos(e) * sin(azimuth), h + t * sin(e)]
                px, py, pz = matrix @ point + move
                level = sqrt(px * px + py * py)
                row = row_of(level, pz, row)
                seen = sample(row, column_of(px, py))
                r = clamp(r + seen[0] - sqrt(level**2 + pz**2), low, high)
            found[y, x] = [r, *seen[1:]]
    return found
