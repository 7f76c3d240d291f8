"""Entropy coding of quantized weights: an adaptive mixture of distributions, asymmetric numeral systems.

No tensor pays for a table: its distribution is the mixture of all candidates below, weighted by how well
each has coded the tensor's symbols so far (Willems, Shtarkov & Tjalkens, "The context-tree weighting
method", 1995, mix in the same way). All arithmetic is on integers, so that every machine derives the same
frequencies. docs/format.md specifies each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import constriction
import numpy as np
import numpy.typing as npt

from quinr_pl.codec.bitstream import BitstreamError

PRECISION = 24
"""Frequencies of a distribution add up to 2**PRECISION."""
LARGEST_SYMBOL = 511
"""Levels up to this in magnitude are symbols; larger ones follow an escape."""
LARGEST_LEVEL = 32767
_ALPHABET = 2 * LARGEST_SYMBOL + 2
_ESCAPE = _ALPHABET - 1
_ESCAPE_ALPHABET = 2 * (LARGEST_LEVEL + 1)
_COST_BITS = 16
_UNIFORM = (0, 1, 2, 3, *(k << e for e in range(7) for k in (4, 5, 6, 7)), 511)
_GEOMETRIC = (1, 2, 4, 8, *(k << e for e in range(8) for k in (16, 24)), 4096)
_GAUSSIAN = tuple(1 << e for e in range(22))

Integers = npt.NDArray[np.int64]


def _geometric(mean: int) -> list[int]:
    """Two-sided geometric: each magnitude is m / (m + 1) times as frequent as the last, m = mean / 16."""
    ratio = (mean << 32) // (mean + 16)
    values = [1 << 40]
    for _ in range(LARGEST_SYMBOL):
        values.append(values[-1] * ratio >> 32)
    return values


def _gaussian(width: int) -> list[int]:
    """Discrete Gaussian: magnitude i has (m / (m + 1)) ** (i * i), m = width / 16."""
    factor = (width << 32) // (width + 16)
    square = factor * factor >> 32
    values = [1 << 40]
    for _ in range(LARGEST_SYMBOL):
        values.append(values[-1] * factor >> 32)
        factor = factor * square >> 32
    return values


def _uniform(largest: int) -> list[int]:
    return [int(magnitude <= largest) for magnitude in range(LARGEST_SYMBOL + 1)]


@cache
def _candidates() -> tuple[Integers, Integers]:
    """Frequencies and costs, both (candidates, alphabet); costs in units of 2**-16 bits."""
    halves = [*map(_uniform, _UNIFORM), *map(_geometric, _GEOMETRIC), *map(_gaussian, _GAUSSIAN)]
    rows = []
    for half in halves:
        total = half[0] + 2 * sum(half[1:])
        row = [
            (half[abs(level)] << PRECISION) // total for level in range(-LARGEST_SYMBOL, LARGEST_SYMBOL + 1)
        ]
        rows.append([*row, 0])
    frequencies = np.array(rows, dtype=np.int64)
    return frequencies, (PRECISION << _COST_BITS) - _log2(frequencies + 1)


def _log2(values: Integers) -> Integers:
    """Binary logarithm of integers from 1 to 2**25 in units of 2**-16, rounded down, by squaring."""
    exponent = np.zeros_like(values)
    for bit in (16, 8, 4, 2, 1):
        exponent += np.where(values >> exponent >= 1 << bit, bit, 0)
    mantissa = values << (30 - exponent)  # in [2**30, 2**31)
    result = exponent
    for _ in range(_COST_BITS):
        mantissa = mantissa * mantissa >> 30
        carry = mantissa >> 31
        mantissa >>= carry
        result = 2 * result + carry
    return result


class AdaptiveMixture:
    """Distribution of the next symbols of a tensor, given those so far."""

    def __init__(self) -> None:
        self._frequencies, self._costs = _candidates()
        self._cost = np.zeros(len(self._costs), dtype=np.int64)

    def frequencies(self) -> Integers:
        """Frequencies of the alphabet, each at least 1, together 2**24."""
        excess = self._cost - self._cost.min()
        whole = np.minimum(excess >> _COST_BITS, 40)
        fraction = excess & ((1 << _COST_BITS) - 1)
        # 2**-(whole + fraction), with a line in place of 2**-fraction between 0 and 1
        weights = (((2 << _COST_BITS) - fraction) << 7) >> whole
        mixed = (weights @ self._frequencies) >> PRECISION
        spread = (1 << PRECISION) - _ALPHABET
        result: Integers = 1 + mixed * spread // mixed.sum()
        result[LARGEST_SYMBOL] += (1 << PRECISION) - result.sum()
        return result

    def update(self, symbols: npt.NDArray[np.integer]) -> None:
        """Take notice of coded symbols."""
        self._cost += self._costs[:, symbols].sum(axis=1)


def symbol_costs(levels: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Bits of every symbol of the alphabet once a tensor's levels are known: what one more would cost.

    Args:
        levels: Levels of a tensor, any shape.

    Returns:
        (1023,): costs of the levels -511 to 511.
    """
    flat = np.clip(levels.ravel(), -LARGEST_SYMBOL, LARGEST_SYMBOL)
    mixture = AdaptiveMixture()
    mixture.update(flat + LARGEST_SYMBOL)
    return PRECISION - np.log2(mixture.frequencies()[:_ESCAPE].astype(np.float64))


def _chunks(count: int) -> Iterator[slice]:
    """Parts of a tensor that share a distribution: a quarter of what came before, at least one symbol."""
    start = 0
    while start < count:
        stop = min(start + max(1, start // 4), count)
        yield slice(start, stop)
        start = stop


def _model(frequencies: Integers) -> constriction.stream.model.Model:
    # `perfect=False` adds 1 to each of these integers and, as they sum to 2**24 minus their number, scales
    # by exactly 1: the coder works with the frequencies as they are.
    return constriction.stream.model.Categorical((frequencies - 1).astype(np.float64), perfect=False)


def _escape_model() -> constriction.stream.model.Model:
    return constriction.stream.model.Uniform(_ESCAPE_ALPHABET)


def encode(tensors: list[Integers], bottom: bytes) -> bytes:
    """One stack of asymmetric numeral systems that holds all levels.

    Args:
        tensors: Levels of each tensor, one-dimensional, at most LARGEST_LEVEL in magnitude.
        bottom: Bytes at the bottom of the stack, the last one not 0. They come for free in the sense that
            an empty stack would waste about as much on its first symbols.

    Returns:
        The stack, least significant byte first, without leading zeros.
    """
    steps = []
    for levels in tensors:
        mixture = AdaptiveMixture()
        for chunk in _chunks(len(levels)):
            part = levels[chunk]
            symbols = np.where(np.abs(part) <= LARGEST_SYMBOL, part + LARGEST_SYMBOL, _ESCAPE)
            steps.append((symbols, part[symbols == _ESCAPE], mixture.frequencies()))
            mixture.update(symbols)
    coder = constriction.stream.stack.AnsCoder(_words(bottom))
    for symbols, escaped, frequencies in reversed(steps):
        if len(escaped):
            coder.encode_reverse((escaped + LARGEST_LEVEL + 1).astype(np.int32), _escape_model())
        coder.encode_reverse(symbols.astype(np.int32), _model(frequencies))
    return _bytes(coder.get_compressed())


def decode(data: bytes, counts: list[int]) -> tuple[list[Integers], bytes]:
    """Levels of tensors, and the bytes at the bottom of the stack.

    Args:
        data: What ``encode`` returned.
        counts: Number of levels of each tensor.

    Raises:
        BitstreamError: If the data cannot come from ``encode``.
    """
    if not data or data[-1] == 0:
        raise BitstreamError("section weights is malformed: it ends in a zero byte")
    coder = constriction.stream.stack.AnsCoder(_words(data))
    tensors = []
    for count in counts:
        mixture = AdaptiveMixture()
        levels = np.zeros(count, dtype=np.int64)
        for chunk in _chunks(count):
            size = chunk.stop - chunk.start
            symbols = coder.decode(_model(mixture.frequencies()), size).astype(np.int64)
            mixture.update(symbols)
            part = symbols - LARGEST_SYMBOL
            escapes = symbols == _ESCAPE
            if escapes.any():
                part[escapes] = coder.decode(_escape_model(), int(escapes.sum())).astype(np.int64)
                part[escapes] -= LARGEST_LEVEL + 1
                if (np.abs(part[escapes]) <= LARGEST_SYMBOL).any() or part.min() < -LARGEST_LEVEL:
                    raise BitstreamError("section weights is malformed: an escape to a level that needs none")
            levels[chunk] = part
        tensors.append(levels)
    return tensors, _bytes(coder.get_compressed())


def _words(data: bytes) -> npt.NDArray[np.uint32]:
    padded = data + bytes(-len(data) % 4)
    return np.frombuffer(padded, dtype="<u4").astype(np.uint32)


def _bytes(words: npt.NDArray[np.uint32]) -> bytes:
    return words.astype("<u4").tobytes().rstrip(b"\0")
