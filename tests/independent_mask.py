"""Masks of range images for independent_decoder.py, from docs/format.md with NumPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np

OFFSETS = [(0, -1), (0, -2), (0, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-2, -1), (-2, 0)]


OFFSETS_AFTER = [(0, -1), (0, -2), (-1, -1), (-1, 0), (-1, 1), (-2, 0)]


def read_mask(stack: Any, height: int, width: int, other: np.ndarray | None = None) -> np.ndarray:
    """(height, width), 1 where there is a return.

    Args:
        stack: That of the section.
        height: Rows.
        width: Columns.
        other: The mask of the frame before, by which a section 7 tells it.
    """
    mask = np.ones((height, width), dtype=int)
    offsets = OFFSETS if other is None else OFFSETS_AFTER
    counts = [[2, 2] for _ in range(1024)]
    for front in range(width + 3 * (height - 1)):
        seen = []
        for y in range(height):
            x = front - 3 * y
            if 0 <= x < width:
                near = [(y + down, x + right) for down, right in offsets]
                bits = [int(mask[a, b]) if a >= 0 and 0 <= b < width else 1 for a, b in near]
                if other is not None:
                    bits += [int(other[y, b]) if 0 <= b < width else 1 for b in (x, x - 1, x + 1)]
                context = sum(bit << k for k, bit in enumerate(bits))
                n0, n1 = counts[context]
                f1 = 1 + n1 * (2**24 - 2) // (n0 + n1)
                mask[y, x] = stack.pop(np.array([0, 2**24 - f1, 2**24]))
                seen.append((context, mask[y, x]))
        for context, symbol in seen:
            counts[context][symbol] += 5
    assert stack.rest() == b""
    return mask
