"""Entropy coding of quantized weights: an adaptive mixture of distributions, asymmetric numeral systems.

No tensor pays for a table: its distribution is the mixture of all candidates below, weighted by how well
each has coded the tensor's symbols so far (Willems, Shtarkov & Tjalkens, "The context-tree weighting
method", 1995, mix in the same way). All arithmetic is on integers, so that every machine derives the same
frequencies. docs/format.md specifies each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from quinr_pl.codec.arrays import Integers
from quinr_pl.codec.coding import ans
from quinr_pl.codec.coding.ans import PRECISION
from quinr_pl.codec.file.container import BitstreamError

LARGEST_SYMBOL = 511
"""Levels up to this in magnitude are symbols; of arrays with larger ones the low bits stand apart."""
LARGEST_LEVEL = 32767
_ALPHABET = 2 * LARGEST_SYMBOL + 2
_ESCAPE = _ALPHABET - 1
_ESCAPE_ALPHABET = 2 * (LARGEST_LEVEL + 1)
_COST_BITS = 16
_SHIFTS = 8
_UNIFORM = (0, 1, 2, 3, *(k << e for e in range(7) for k in (4, 5, 6, 7)), 511)
_GEOMETRIC = (1, 2, 4, 8, *(k << e for e in range(8) for k in (16, 24)), 4096)
_GAUSSIAN = tuple(1 << e for e in range(22))


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
def _candidates() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frequencies and costs, both (candidates, alphabet); costs in units of 2**-16 bits.

    They are integers in float64, whose products are many times as fast: the frequencies of a symbol sum to
    less than 2**29 and weights are at most 2**24, so that no sum reaches 2**53 and all are exact.
    """
    halves = [*map(_uniform, _UNIFORM), *map(_geometric, _GEOMETRIC), *map(_gaussian, _GAUSSIAN)]
    rows = []
    for half in halves:
        total = half[0] + 2 * sum(half[1:])
        row = [
            (half[abs(level)] << PRECISION) // total for level in range(-LARGEST_SYMBOL, LARGEST_SYMBOL + 1)
        ]
        rows.append([*row, 0])
    frequencies = np.array(rows, dtype=np.int64)
    costs = (PRECISION << _COST_BITS) - _log2(frequencies + 1)
    return frequencies.astype(np.float64), costs.astype(np.float64)


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
        mixed = (weights.astype(np.float64) @ self._frequencies).astype(np.int64) >> PRECISION
        spread = (1 << PRECISION) - _ALPHABET
        result: Integers = 1 + mixed * spread // mixed.sum()
        result[LARGEST_SYMBOL] += (1 << PRECISION) - result.sum()
        return result

    def update(self, symbols: npt.NDArray[np.integer]) -> None:
        """Take notice of coded symbols."""
        counts = np.bincount(symbols.ravel(), minlength=_ALPHABET).astype(np.float64)
        self._cost += (self._costs @ counts).astype(np.int64)


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


class LevelEncoder:
    """One stack of asymmetric numeral systems that takes levels, in the order in which they are decoded."""

    def __init__(self) -> None:
        self._steps: list[tuple[Integers, Integers, int, Integers]] = []

    def write(self, levels: Integers, shift: int = 0) -> None:
        """Append an array of levels.

        Args:
            levels: One-dimensional, at most LARGEST_LEVEL in magnitude.
            shift: As of ``low_bits``.
        """
        mixture = AdaptiveMixture()
        high = levels + _half(shift) >> shift
        low = levels - (high << shift) + _half(shift)
        for chunk in _chunks(len(levels)):
            symbols = high[chunk] + LARGEST_SYMBOL
            self._steps.append((symbols, low[chunk], shift, mixture.frequencies()))
            mixture.update(symbols)

    def getvalue(self, bottom: bytes) -> bytes:
        """The stack, least significant byte first, without leading zeros.

        Args:
            bottom: Bytes at the bottom of the stack, the last one not 0. They come for free in the sense
                that an empty stack would waste about as much on its first symbols.
        """
        coder = ans.encoder(bottom)
        for symbols, low, shift, frequencies in reversed(self._steps):
            if shift:
                coder.encode_reverse(low.astype(np.int32), ans.uniform(1 << shift))
            coder.encode_reverse(symbols.astype(np.int32), ans.categorical(frequencies))
        return ans.payload_of(coder)

    def bits(self) -> float:
        """What the levels take by themselves, without whole bytes and the word that a stack ends with."""
        total = 0.0
        for symbols, _, shift, frequencies in self._steps:
            total += float((PRECISION - np.log2(frequencies[symbols])).sum()) + shift * len(symbols)
        return total


class LevelDecoder:
    """What a LevelEncoder wrote, in the same order.

    Args:
        data: Words of the ANS stack.
        section: Its section, for messages.

    Raises:
        BitstreamError: If it is empty or ends in a zero byte.
    """

    def __init__(self, data: bytes, section: str = "weights") -> None:
        if not data:
            raise BitstreamError(f"section {section} is malformed: it is empty")
        self._section = section
        self._coder = ans.decoder(data, section)

    def read(self, count: int, shift: int = 0) -> Integers:
        """The next array of levels.

        Raises:
            BitstreamError: If a level is too large.
        """
        levels = np.zeros(count, dtype=np.int64)
        for chunk, symbols in self._symbols(count):
            high = symbols - LARGEST_SYMBOL
            low = self._uniform(1 << shift, len(symbols)) if shift else 0
            levels[chunk] = (high << shift) + low - _half(shift)
            if (symbols == _ESCAPE).any():
                raise BitstreamError(f"section {self._section} is malformed: an escape where there is none")
        if np.abs(levels).max(initial=0) > LARGEST_LEVEL:
            raise BitstreamError(f"section {self._section} is malformed: a level above {LARGEST_LEVEL}")
        return levels

    def read_with_escapes(self, count: int) -> Integers:
        """The next array of levels as sections of type 1 hold them.

        Raises:
            BitstreamError: If a small level is escaped, or a level is too large.
        """
        levels = np.zeros(count, dtype=np.int64)
        for chunk, symbols in self._symbols(count):
            part = symbols - LARGEST_SYMBOL
            escapes = symbols == _ESCAPE
            if escapes.any():
                part[escapes] = self._uniform(_ESCAPE_ALPHABET, int(escapes.sum())) - LARGEST_LEVEL - 1
                if (np.abs(part[escapes]) <= LARGEST_SYMBOL).any() or part.min() < -LARGEST_LEVEL:
                    raise BitstreamError(
                        f"section {self._section} is malformed: an escape to a level that needs none"
                    )
            levels[chunk] = part
        return levels

    def rest(self) -> bytes:
        """The bytes at the bottom, once all arrays are read."""
        return ans.payload_of(self._coder)

    def _symbols(self, count: int) -> Iterator[tuple[slice, Integers]]:
        mixture = AdaptiveMixture()
        for chunk in _chunks(count):
            model = ans.categorical(mixture.frequencies())
            symbols = self._coder.decode(model, chunk.stop - chunk.start).astype(np.int64)
            mixture.update(symbols)
            yield chunk, symbols

    def _uniform(self, alphabet: int, count: int) -> Integers:
        values: Integers = self._coder.decode(ans.uniform(alphabet), count).astype(np.int64)
        return values


def low_bits(levels: Integers) -> int:
    """How many low bits of an array's levels are to be written as they are, so that the rest are symbols.

    Levels that spread over more than a thousand values are so evenly spread over neighbours that their
    lowest bits hold nothing to model.
    """
    largest = int(np.abs(levels).max(initial=0))
    return next(shift for shift in range(_SHIFTS) if largest + _half(shift) >> shift <= LARGEST_SYMBOL)


def coded_bits(levels: Integers) -> float:
    """Bits that an array of levels takes in a stack."""
    encoder = LevelEncoder()
    encoder.write(levels, low_bits(levels))
    return encoder.bits()


def _half(shift: int) -> int:
    return 1 << shift >> 1
