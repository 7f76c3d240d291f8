"""Latent grids for independent_decoder.py, from docs/format.md with NumPy alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LATENT_FIELDS = [
    ("finest", "integer", 1),
    ("grids", "integer", 6),
    ("qubits", "integer", 4),
    ("angles", "integer", 8),
    ("uploads", "integer", 2),
    ("neighbours", "integer", 12),
    ("context_width", "integer", 12),
    ("synthesis", ("switch", "relu"), "circuit"),
    ("filters", "integer", 2),
    ("layers", "integer", 1),
    ("angle_scale", "real", 1.5),
    ("pairs", ("choice", "ordered", "unordered", "ring", "none", "strong"), "ring"),
    ("in_features", "integer", 2),
    ("context_layers", "integer", 1),
    ("upsampling", ("switch", "own"), "shared"),
]
NEIGHBOURS = [
    *[(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-1, 2), (-2, -1), (-2, 1)],
    *[(-2, -2), (-2, 2), (0, -3), (-3, 0), (-1, -3), (-1, 3), (-3, -1), (-3, 1), (-2, -3), (-2, 3)],
    *[(-3, -2), (-3, 2), (-3, -3), (-3, 3)],
]
DECAYS = [581260615, 686215099, 799036310, 918726429, 1044178424, 1174220339, 1307656790, 1443305845]


def tensor_shapes(network: dict[str, Any], channels: int, pairs: int) -> list[tuple[int, ...]]:
    n, grids, uploads = network["qubits"], network["grids"], network["uploads"]
    features, states = network["angles"] * uploads, 2**n
    rotations = (uploads, network["layers"], 4 * n + pairs)
    if network["synthesis"] == "circuit":
        middle: list[tuple[int, ...]] = [(features, grids), (features,), rotations, (channels, states)]
    else:
        weights = features * (grids + 1) + math.prod(rotations) + channels * states
        h = max(1, round(weights / (grids + 1 + channels)))
        middle = [(h, grids), (h,), (channels, h)]
    width = network["context_width"]
    second = [(width, width), (width,)] * (network["context_layers"] - 1)
    context = [(width, network["neighbours"] + 1), (width,), *second, (2, width), (2,), (grids,)]
    filters = [(channels, channels, 3, 3), (channels,)] * network["filters"]
    doublings = max(1, network["finest"] + grids - 1)
    taps = (doublings, 4) if network["upsampling"] == "own" else (4,)
    return [taps, *middle, (channels,), (channels, grids), *filters, *context]


def layer_sizes(network: dict[str, Any]) -> list[int]:
    middle = [2, 1, 2] if network["synthesis"] == "circuit" else [2, 2]
    return [1, *middle, 1, *[2] * (network["filters"] + network["context_layers"]), 2, 1]


def decays() -> list[int]:
    values = list(DECAYS)
    for q in range(8, 88):
        values.append(math.isqrt(values[q - 8] << 32))
    return values


def cumulative_frequencies(q: int, phase: int, decay: list[int]) -> np.ndarray:
    e = [2**32 - 1]
    for _ in range(1100):
        a, b = e[-1] >> 16, e[-1] % 2**16
        e.append((a * decay[q] + (b * decay[q] >> 16)) >> 16)
    c = []
    for s in range(64):
        x = 16 * (s - 32) - 8 - phase
        c.append(e[-x] >> 1 if x <= 0 else 2**32 - (e[x] >> 1))
    f = [1 + ((c[s + 1] - c[s]) * (2**24 - 64) >> 32) for s in range(63)]
    return np.cumsum([0, *f, 2**24 - sum(f)])


def clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def predict(context: list[np.ndarray], v: list[int], grid: int) -> tuple[int, int]:
    hidden_weight, hidden_bias, *second, output_weight, output_bias, grid_bias = context
    v = [clamp(value, -1023, 1023) for value in v]
    h = [
        clamp(int(b) + sum(int(w) * x for w, x in zip(row, v, strict=True)), 0, 2**24 - 1)
        for row, b in zip(hidden_weight, hidden_bias, strict=True)
    ]
    if second:
        sums = [
            x + (sum(int(w) * y for w, y in zip(row, h, strict=True)) >> 12) + int(b)
            for x, row, b in zip(h, *second, strict=True)
        ]
        h = [clamp(value, 0, 2**24 - 1) for value in sums]
    o = [
        (sum(int(w) * x for w, x in zip(row, h, strict=True)) >> 12) + int(b)
        for row, b in zip(output_weight, output_bias, strict=True)
    ]
    mean = clamp((o[0] + 128) >> 8, -16368, 16368)
    return mean, clamp((o[1] + int(grid_bias[grid]) + 5 * 4096 + 256) >> 9, 0, 87)


def read_grids(
    stack: Any, network: dict[str, Any], height: int, width: int, context: list[np.ndarray], coded: int = -1
) -> list[np.ndarray]:
    """Grid 0 first, those whose bit is not in ``coded`` zero.

    The stack is that of the section, the context model's weights are in units of 2**-12.
    """
    offsets, decay = NEIGHBOURS[: network["neighbours"]], decays()
    reach = max(max(-down, abs(right)) for down, right in offsets)
    grids: list[np.ndarray] = []
    for j in reversed(range(network["grids"])):
        side = 2 ** (network["finest"] + j)
        rows, columns = -(-height // side), -(-width // side)
        grid = np.zeros((rows, columns), dtype=int)
        order = sorted((x + (reach + 1) * y, y, x) for y in range(rows) for x in range(columns))
        fronts: dict[int, list[tuple[int, int]]] = {}
        for front, y, x in order:
            fronts.setdefault(front, []).append((y, x))
        for places in fronts.values() if coded >> j & 1 else ():
            escaped = []
            for y, x in places:
                near = [(y + down, x + right) for down, right in offsets]
                v = [int(grid[a, b]) if a >= 0 and 0 <= b < columns else 0 for a, b in near]
                v.append(int(grids[0][y // 2, x // 2]) if grids else 0)
                mean, q = predict(context, v, j)
                symbol = stack.pop(cumulative_frequencies(q, mean % 16, decay))
                grid[y, x] = (mean >> 4) + symbol - 32
                escaped += [(y, x)] * (symbol == 63)
            for y, x in escaped:
                grid[y, x] = stack.pop(np.arange(65537) << 8) - 32768
        grids.insert(0, grid)
    assert stack.rest() == b""
    return grids


def doubled(u: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Along the rows of (rows, ...)."""
    last = len(u) - 1

    def at(shift: int) -> np.ndarray:
        return u[np.clip(np.arange(len(u)) + shift, 0, last)]

    w = taps
    even = w[0] * at(-2) + w[1] * at(-1) + w[2] * at(0) + w[3] * at(1)
    odd = w[3] * at(-1) + w[2] * at(0) + w[1] * at(1) + w[0] * at(2)
    return np.stack([even, odd], 1).reshape(2 * len(u), *u.shape[1:])


def interpolate(
    network: dict[str, Any], grids: list[np.ndarray], taps: np.ndarray, height: int, width: int
) -> np.ndarray:
    """(pixels, grids)."""
    coarsest = network["finest"] + network["grids"] - 1
    u = grids[-1][:, :, None].astype(float)
    for k in range(coarsest - 1, -1, -1):
        own = taps[k] if network["upsampling"] == "own" else taps
        u = doubled(doubled(u, own).swapaxes(0, 1), own).swapaxes(0, 1)
        u = u[: -(-height >> k), : -(-width >> k)]
        if k >= network["finest"]:
            u = np.concatenate([grids[k - network["finest"]][:, :, None], u], axis=2)
    return u.reshape(height * width, -1)


def filtered(t: np.ndarray, tensors: list[np.ndarray]) -> np.ndarray:
    """(height, width, channels) plus each convolution of it in turn."""
    for weight, bias in zip(tensors[::2], tensors[1::2], strict=True):
        framed = np.pad(t, ((1, 1), (1, 1), (0, 0)), mode="edge")
        result = t + bias
        for down in range(3):
            for right in range(3):
                moved = framed[down : down + t.shape[0], right : right + t.shape[1]]
                result = result + moved @ weight[:, :, down, right].T
        t = result
    return t
