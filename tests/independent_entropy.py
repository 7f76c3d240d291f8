"""The entropy decoder of independent_decoder.py, from docs/format.md with NumPy and struct alone."""

from __future__ import annotations

import struct

import numpy as np

ALPHABET, ZERO, ESCAPE = 1024, 511, 1023


def candidates() -> list[list[int]]:
    halves = []
    for m in [0, 1, 2, 3] + [k << e for e in range(7) for k in (4, 5, 6, 7)] + [511]:
        halves.append([1 if i <= m else 0 for i in range(512)])
    for a in [1, 2, 4, 8] + [k << e for e in range(8) for k in (16, 24)] + [4096]:
        ratio, half = (a << 32) // (a + 16), [1 << 40]
        for _ in range(511):
            half.append(half[-1] * ratio >> 32)
        halves.append(half)
    for e in range(22):
        factor, half = (1 << e + 32) // ((1 << e) + 16), [1 << 40]
        square = factor * factor >> 32
        for _ in range(511):
            half.append(half[-1] * factor >> 32)
            factor = factor * square >> 32
        halves.append(half)
    assert len(halves) == 76
    rows = []
    for half in halves:
        total = half[0] + 2 * sum(half[1:])
        rows.append([(half[abs(level)] << 24) // total for level in range(-511, 512)] + [0])
    return rows


def log2(x: int) -> int:
    result = x.bit_length() - 1
    t = x << 30 - result
    for _ in range(16):
        t = t * t >> 30
        bit = t >> 31
        t >>= bit
        result = 2 * result + bit
    return result


class Stack:
    def __init__(self, data: bytes) -> None:
        assert not data.endswith(b"\0")
        padded = data + bytes(-len(data) % 4)
        self.words, self.state = list(struct.unpack(f"<{len(padded) // 4}I", padded)), 0
        self.refill()

    def refill(self) -> None:
        while self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def pop(self, cumulative: np.ndarray) -> int:
        r = self.state % (1 << 24)
        symbol = int(np.searchsorted(cumulative, r, side="right")) - 1
        low, high = int(cumulative[symbol]), int(cumulative[symbol + 1])
        self.state = (self.state >> 24) * (high - low) + r - low
        self.refill()
        return symbol

    def rest(self) -> bytes:
        words = [*self.words, self.state & 0xFFFFFFFF, self.state >> 32]
        return struct.pack(f"<{len(words)}I", *words).rstrip(b"\0")


def mixture(costs: np.ndarray) -> np.ndarray:
    excess = costs - costs.min()
    w = ((2**17 - excess % 2**16) << 7) >> np.minimum(excess >> 16, 40)
    v = (w @ P) >> 24
    f = 1 + v * (2**24 - ALPHABET) // v.sum()
    f[ZERO] += 2**24 - f.sum()
    return f


def tables() -> tuple[np.ndarray, np.ndarray]:
    rows = candidates()
    logs = {x: log2(x + 1) for row in rows for x in row}
    costs = [[(24 << 16) - logs[x] for x in row] for row in rows]
    return np.array(rows, dtype=np.int64), np.array(costs, dtype=np.int64)


P, COSTS = tables()


def read_array(stack: Stack, count: int, shift: int | None) -> np.ndarray:
    """An array with so many low bits apart; with escapes if the shift is None."""
    levels: list[int] = []
    costs = np.zeros(len(P), dtype=np.int64)
    escapes, low = np.arange(65537) << 8, np.arange((1 << (shift or 0)) + 1) << 24 - (shift or 0)
    while len(levels) < count:
        start = len(levels)
        stop = min(start + max(1, start // 4), count)
        cumulative = np.concatenate([[0], np.cumsum(mixture(costs))])
        symbols = [stack.pop(cumulative) for _ in range(start, stop)]
        for symbol in symbols:
            if shift is None:
                levels.append(stack.pop(escapes) - 32768 if symbol == ESCAPE else symbol - 511)
            else:
                assert symbol != ESCAPE
                bits = stack.pop(low) - (1 << shift >> 1) if shift else 0
                levels.append((symbol - 511 << shift) + bits)
            costs += COSTS[:, symbol]
    return np.array(levels, dtype=np.int64)
