"""The section of latents: each is coded with the probabilities that the context model gives it.

Encoder and decoder run the context model in integers, so that every machine derives the same
probabilities. docs/format.md specifies each step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Floats, Integers
from quinr_pl.codec.coding import ans
from quinr_pl.codec.coding.wavefronts import wavefronts_of
from quinr_pl.codec.file.container import BitstreamError
from quinr_pl.network.latent.context_shape import SCALE_OCTAVES
from quinr_pl.ops.kernels.context import reach_of

FRACTION_BITS = 12
"""The context model computes in units of 2**-FRACTION_BITS."""
LARGEST_LATENT = 32767
_SYMBOLS = 64
"""Differences from -32 to 30 to the rounded-down mean, and the escape."""
_ZERO = _SYMBOLS // 2
ESCAPE = _SYMBOLS - 1
"""The symbol of a latent that is too far from its mean, and comes behind it as it is."""
_ESCAPE_ALPHABET = 2 * (LARGEST_LATENT + 1)
ESCAPE_BITS = 16
_LARGEST_INPUT = 1023
_LARGEST_HIDDEN = (1 << 24) - 1
_MEAN_BITS = 4
_SCALES_PER_OCTAVE = 8
_SCALES = _SCALES_PER_OCTAVE * (SCALE_OCTAVES[1] - SCALE_OCTAVES[0])
# exp(-1 / (16 s)) in units of 2**-32 for the scales s = 2**(k / 8 - 5), rounded.
_DECAYS = (581260615, 686215099, 799036310, 918726429, 1044178424, 1174220339, 1307656790, 1443305845)


@dataclass(frozen=True)
class IntegerContext:
    """A context model's weights in units of 2**-12.

    Args:
        offsets: Neighbours, rows down and columns right.
        hidden_weight: (width, neighbours + 1).
        hidden_bias: Biases of the hidden layer, (width,).
        output_weight: (2, width): mean, binary logarithm of the scale.
        output_bias: Biases of the output layer, (2,).
        grid_bias: (grids,), the finest first, added to the logarithm.
        second: Matrix and biases of the second hidden layer, (width, width) and (width,), where there is one.
    """

    offsets: tuple[tuple[int, int], ...]
    hidden_weight: Integers
    hidden_bias: Integers
    output_weight: Integers
    output_bias: Integers
    grid_bias: Integers
    second: tuple[Integers, Integers] | None = None

    def predict(self, seen: Integers, grid: int) -> tuple[Integers, Integers]:
        """Where each latent's distribution stands in the table, and what its differences start from.

        Args:
            seen: Neighbours and the coarser grid's latent, (latents, neighbours + 1).
            grid: Index of the grid, 0 the finest.

        Returns:
            (latents,) rows of the table; (latents,) means, rounded down.
        """
        inputs = _between(seen, -_LARGEST_INPUT, _LARGEST_INPUT)
        hidden = _between(self._matrices[0](inputs) + self.hidden_bias, 0, _LARGEST_HIDDEN)
        if self.second is not None:
            moved = hidden + (self._matrices[1](hidden) >> FRACTION_BITS) + self.second[1]
            hidden = _between(moved, 0, _LARGEST_HIDDEN)
        output = (self._matrices[-1](hidden) >> FRACTION_BITS) + self.output_bias
        drop = FRACTION_BITS - _MEAN_BITS
        mean = (output[:, 0] + (1 << drop - 1)) >> drop
        mean = _between(mean, -_LARGEST_INPUT << _MEAN_BITS, _LARGEST_INPUT << _MEAN_BITS)
        lowest = SCALE_OCTAVES[0] << FRACTION_BITS
        unit = (1 << FRACTION_BITS) // _SCALES_PER_OCTAVE
        scale = (output[:, 1] + self.grid_bias[grid] - lowest + unit // 2) // unit
        row = _between(scale, 0, _SCALES - 1) << _MEAN_BITS | mean & ((1 << _MEAN_BITS) - 1)
        return row, mean >> _MEAN_BITS

    @cached_property
    def _matrices(self) -> tuple[_Matrix, ...]:
        """Those of the layers, in their order."""
        second = () if self.second is None else (_Matrix(self.second[0], _LARGEST_HIDDEN),)
        return (
            _Matrix(self.hidden_weight, _LARGEST_INPUT),
            *second,
            _Matrix(self.output_weight, _LARGEST_HIDDEN),
        )


def distributions(row: Integers, mean: Integers) -> tuple[Floats, Floats]:
    """What `IntegerContext.predict` gives, as means and binary logarithms of scales, (latents,) each."""
    fraction = (row & ((1 << _MEAN_BITS) - 1)) / (1 << _MEAN_BITS)
    return mean + fraction, SCALE_OCTAVES[0] + (row >> _MEAN_BITS) / _SCALES_PER_OCTAVE


class _Matrix:
    """Products with integers in float64, many times as fast, where all sums are exact: below 2**53.

    Args:
        weight: (rows, columns), integers.
        largest: The largest magnitude of what is multiplied.
    """

    def __init__(self, weight: Integers, largest: int) -> None:
        exact = int(np.abs(weight).sum(axis=1).max()) * largest < 1 << 53
        dtype = np.float64 if exact else np.int64
        self._weight: npt.NDArray[Any] = np.ascontiguousarray(weight.T, dtype)

    def __call__(self, values: Integers) -> Integers:
        """(n, columns) -> (n, rows)."""
        products = values.astype(self._weight.dtype) @ self._weight
        found: Integers = products.astype(np.int64)
        return found


def _between(values: Integers, low: int, high: int) -> Integers:
    """Values clamped to an interval, in place: wavefronts are short, and np.clip takes long to begin."""
    return np.minimum(np.maximum(values, low, out=values), high, out=values)


@cache
def table() -> Integers:
    """Frequencies of the symbols, (scales * 16, 64): each at least 1, a row sums to 2**24."""
    steps = (_SYMBOLS + 2) << _MEAN_BITS
    decays = list(_DECAYS)
    while len(decays) < _SCALES:  # twice the scale: the square root
        decays.append(isqrt(decays[-_SCALES_PER_OCTAVE] << 32))
    survival = np.empty((_SCALES, steps), dtype=np.int64)  # exp(-distance / scale), 2**32 being 1
    survival[:, 0] = (1 << 32) - 1
    for step in range(1, steps):
        high, low = survival[:, step - 1] >> 16, survival[:, step - 1] & 0xFFFF
        ratio = np.array(decays, dtype=np.int64)
        survival[:, step] = (high * ratio + (low * ratio >> 16)) >> 16
    fraction = np.arange(1 << _MEAN_BITS)[:, None]
    edges = (
        (np.arange(-_ZERO, _ZERO) << _MEAN_BITS) - (1 << _MEAN_BITS - 1) - fraction
    )  # lower, of 64 symbols
    tail = survival[:, np.abs(edges)] >> 1
    below = np.where(edges <= 0, tail, (1 << 32) - tail)
    mass = np.diff(below, axis=-1)
    spread = (1 << ans.PRECISION) - _SYMBOLS
    frequencies = np.ones((*below.shape[:2], _SYMBOLS), dtype=np.int64)
    frequencies[..., :ESCAPE] += mass * spread >> 32
    frequencies[..., ESCAPE] += (1 << ans.PRECISION) - frequencies.sum(axis=-1)
    return frequencies.reshape(-1, _SYMBOLS)


class _Grid:
    """One grid under way, in a frame of zeros.

    Args:
        context: The context model.
        index: Which grid, 0 the finest.
        shape: Rows and columns.
        coarser: The next coarser grid; None for the coarsest.

    Attributes:
        latents: Those of the grid with its frame, flat.
    """

    def __init__(
        self,
        context: IntegerContext,
        index: int,
        shape: tuple[int, int],
        coarser: npt.NDArray[np.integer] | None,
    ) -> None:
        self._context, self._index, self._shape = context, index, shape
        self._reach = reach_of(context.offsets)
        framed = (shape[0] + self._reach, shape[1] + 2 * self._reach)
        self._framed, covering = np.zeros(framed, dtype=np.int32), np.zeros(framed, dtype=np.int32)
        self._steps = np.array([down * framed[1] + right for down, right in context.offsets])
        if coarser is not None:
            inside = self._inside(covering)
            for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
                part = inside[down::2, right::2]
                part[:] = coarser[: part.shape[0], : part.shape[1]]
        self.latents, self._covering = self._framed.reshape(-1), covering.reshape(-1)

    def _inside(self, framed: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        return framed[self._reach :, self._reach : self._reach + self._shape[1]]

    @property
    def values(self) -> npt.NDArray[np.int32]:
        """The latents, zero where none has been set."""
        return self._inside(self._framed)

    def wavefronts(self) -> Iterator[slice]:
        """In the order of the file: of each its places in ``latents``."""
        return wavefronts_of(*self._shape, self._reach, self._reach)

    def predict(self, front: slice) -> tuple[Integers, Integers]:
        """Rows of the table and rounded means; see IntegerContext.predict."""
        places = np.arange(front.start, front.stop, front.step)
        seen = np.empty((len(places), len(self._steps) + 1), dtype=np.int64)
        seen[:, :-1] = self.latents[places[:, None] + self._steps]
        seen[:, -1] = self._covering[front]
        return self._context.predict(seen, self._index)


def symbols_of(latents: Integers, mean: Integers) -> Integers:
    """Symbols of latents: the difference to the rounded-down mean, or the escape."""
    symbols = latents - mean + _ZERO
    return np.where((symbols < 0) | (symbols >= ESCAPE), ESCAPE, symbols)


def encode(grids: Sequence[Integers], context: IntegerContext, coded: Collection[int] | None = None) -> bytes:
    """The payload of the section: one stack of asymmetric numeral systems.

    Args:
        grids: Latents of each grid, the finest first, at most LARGEST_LATENT in magnitude.
        context: The context model.
        coded: Indices of the grids that are not left out; all when left out.

    Returns:
        The stack, least significant byte first, without leading zeros.
    """
    steps: list[tuple[Integers, Integers, Integers]] = []
    for index in reversed(range(len(grids))):
        if coded is not None and index not in coded:
            continue
        coarser = grids[index + 1] if index + 1 < len(grids) else None
        grid = _Grid(context, index, (grids[index].shape[0], grids[index].shape[1]), coarser)
        grid.values[:] = grids[index]
        for front in grid.wavefronts():
            row, mean = grid.predict(front)
            latents = grid.latents[front].astype(np.int64)
            symbols = symbols_of(latents, mean)
            steps.append((symbols, row, latents[symbols == ESCAPE]))
    coder = ans.encoder()
    for symbols, row, escaped in reversed(steps):
        if len(escaped):
            escapes = (escaped + LARGEST_LATENT + 1).astype(np.int32)
            coder.encode_reverse(escapes, ans.uniform(_ESCAPE_ALPHABET))
        coder.encode_reverse(symbols.astype(np.int32), ans.categorical_family(), _models()[row])
    return ans.payload_of(coder)


def decode(
    payload: bytes,
    shapes: Sequence[tuple[int, int]],
    context: IntegerContext,
    coded: Collection[int] | None = None,
) -> list[npt.NDArray[np.int32]]:
    """Latents of each grid.

    Args:
        payload: What ``encode`` returned.
        shapes: Rows and columns of each grid, the finest first.
        context: The context model.
        coded: Indices of the grids that are not left out, where latents are zero; all when left out.

    Raises:
        BitstreamError: If the payload cannot come from ``encode``.
    """
    coder, family = ans.decoder(payload, "latents"), ans.categorical_family()
    coarser: npt.NDArray[np.int32] | None = None
    decoded: list[npt.NDArray[np.int32]] = []
    for index in reversed(range(len(shapes))):
        grid = _Grid(context, index, shapes[index], coarser)
        for front in grid.wavefronts() if coded is None or index in coded else ():
            row, mean = grid.predict(front)
            symbols = coder.decode(family, _models()[row]).astype(np.int64)
            latents = symbols - _ZERO + mean
            escapes = symbols == ESCAPE
            if escapes.any():
                latents[escapes] = _decode_escapes(coder, mean[escapes])
            grid.latents[front] = latents
        coarser = grid.values
        decoded.insert(0, coarser)
    ans.check_end(coder, "latents")
    return decoded


def _decode_escapes(coder: ans.Coder, mean: Integers) -> Integers:
    escapes = coder.decode(ans.uniform(_ESCAPE_ALPHABET), len(mean)).astype(np.int64)
    latents: Integers = escapes - LARGEST_LATENT - 1
    symbols = latents - mean + _ZERO
    if ((symbols >= 0) & (symbols < ESCAPE)).any() or latents.min() < -LARGEST_LATENT:
        raise BitstreamError("section latents is malformed: an escape to a latent that needs none")
    return latents


@cache
def _models() -> npt.NDArray[np.float64]:
    return ans.parameters(table())
