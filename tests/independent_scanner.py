"""Rays of range images for independent_decoder.py, from docs/format.md with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def read_scanner(
    stream: Any, stack_of: Callable[[bytes], Any], arrays: Any, height: int, edges: bool
) -> dict[str, Any]:
    """Elevations and heights of the rows, azimuth and turn of the columns, in hundredths; percent of edges.

    Args:
        stream: Bytes of the section.
        stack_of: Makes a stack of bytes.
        arrays: Reads an array of a stack: (stack, count, shift).
        height: Rows.
        edges: Whether the section is of type 6.
    """
    percent = stream.varint() if edges else 0

    def number() -> int:
        code = stream.varint()
        return -(code + 1) // 2 if code % 2 else code // 2

    up, down = number(), number()
    rows = np.arange(height)
    elevations = (2 * height * up + (2 * rows + 1) * (down - up) + height) // (2 * height)
    heights, azimuth, turn = np.zeros(height), 18000, -36000
    if stream.at < len(stream.data):
        azimuth, turn = number(), number()
    if stream.at < len(stream.data):
        stack = stack_of(stream.data[stream.at :])
        first, second = arrays(stack, 2, 0)
        elevations = elevations + np.cumsum(arrays(stack, height, first))
        heights = np.cumsum(arrays(stack, height, second))
        assert stack.rest() == b"\x01"
    rays = {"elevations": elevations, "heights": heights, "azimuth": azimuth, "turn": turn}
    return {**rays, "edges": percent % 128, "firings": 1 + percent // 128}


def points_of(ranges: np.ndarray, scanner: dict[str, Any]) -> np.ndarray:
    """(points, 3) of ranges, (height, width)."""
    width, points, kept = ranges.shape[1], [], {}
    for y, x in zip(*np.nonzero(ranges > 0), strict=True):
        r = float(ranges[y, x])
        if scanner["edges"] and 0 < x < width - 1 and min(ranges[y, x - 1], ranges[y, x + 1]) > 0:
            a, b = sorted((float(ranges[y, x - 1]), float(ranges[y, x + 1])))
            if b - a > scanner["edges"] / 100 * a and 0.1 * (b - a) < r - a < 0.9 * (b - a):
                continue
        kept[y, x] = r
    for (y, x), own in kept.items():
        for firing in range(scanner["firings"]):
            o = (firing + 0.5) / scanner["firings"] - 0.5
            other = kept.get((y, x + 1 if o > 0 else x - 1), own)
            r = own + abs(o) * (other - own) if abs(other - own) <= 0.1 * min(other, own) else own
            e, h = np.radians(scanner["elevations"][y] / 100), scanner["heights"][y] / 100
            a = np.radians((scanner["azimuth"] + scanner["turn"] * (x + 0.5 + o) / width) / 100)
            t = max(0.0, np.sqrt(max(0.0, r * r - (h * np.cos(e)) ** 2)) - h * np.sin(e))
            points.append((t * np.cos(e) * np.cos(a), t * np.cos(e) * np.sin(a), h + t * np.sin(e)))
    return np.array(points)
