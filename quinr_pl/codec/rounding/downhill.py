"""The least cost along a line of choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_RISES = 2


def lowest(cost: Callable[[int], float], codes: Sequence[int]) -> int:
    """The code of the lowest cost, downhill from the middle; past its valley costs rise twice in a row."""
    best = codes[len(codes) // 2]
    least = cost(best)
    for way in (codes[len(codes) // 2 + 1 :], codes[: len(codes) // 2][::-1]):
        rises = 0
        for code in way:
            found = cost(code)
            if found < least:
                best, least, rises = code, found, 0
            else:
                rises += 1
            if rises == _RISES:
                break
    return best
