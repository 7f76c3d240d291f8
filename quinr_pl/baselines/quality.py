"""The quality of an encoder that a size allows, where the encoder takes a quality and no size."""

from __future__ import annotations

from collections.abc import Callable


def best_within(encode: Callable[[int], bytes], best: int, most_bytes: float) -> bytes:
    """The file of the highest quality that takes at most so many bytes.

    Args:
        encode: The file of a quality, from 0 on. Size rises with quality but for a few bytes here and there.
        best: The highest quality.
        most_bytes: Size of the file.

    Returns:
        The file, the smallest that the encoder makes where none is so small.
    """
    low, kept = 0, encode(0)
    high = best + 1
    while high - low > 1:
        middle = (low + high) // 2
        data = encode(middle)
        if len(data) <= most_bytes:
            low, kept = middle, data
        else:
            high = middle
    return kept
