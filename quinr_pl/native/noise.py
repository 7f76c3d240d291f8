"""Random numbers as a function of a key and a place: the same whatever the threads and their order.

Philox2x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). Words have 32 bits;
where numbers have more, the rest of a lane is zero.
"""

from __future__ import annotations

from math import log, pi

from quinr_pl.native.mathematics import cos_sin, log2
from quinr_pl.native.values import Bits, Vector, sqrt

ROUNDS = 10
MULTIPLIER = 0xD256D193
KEY_STEP = 0x9E3779B9
UNIFORM_BITS = 24
"""Bits of a uniform number, all of which a float32 holds."""
_WORD = 0xFFFFFFFF


def philox(counter: tuple[Bits, Bits], key: Bits) -> tuple[Bits, Bits]:
    """Two random words for each counter, which is two words, and a key."""
    left, right = counter
    for number in range(ROUNDS):
        high, low = _product(left)
        left, right = high ^ _word(key + _signed(number * KEY_STEP, key)) ^ right, low
    return left, right


def normal_pair(words: tuple[Bits, Bits]) -> tuple[Vector, Vector]:
    """Two independent numbers, standard normal, from two random words (Box & Muller 1958)."""
    first, second = (_shifted(word, 32 - UNIFORM_BITS).as_numbers() for word in words)
    unit = 2.0**-UNIFORM_BITS
    radius = sqrt(log2((first + 1.0) * unit) * (-2 * log(2)))
    turn = cos_sin(second * (2 * pi * unit))
    return radius * turn.real, radius * turn.imag


def _product(word: Bits) -> tuple[Bits, Bits]:
    """High and low word of a word times the multiplier."""
    low = _word(word * _signed(MULTIPLIER, word))
    if word.emitter.precision.bits > 32:
        return _shifted(word * MULTIPLIER, 32), low
    a, b = _shifted(word, 16), word & 0xFFFF
    c, d = MULTIPLIER >> 16, MULTIPLIER & 0xFFFF
    middle = a * d + _shifted(b * d, 16)
    other = b * c + (middle & 0xFFFF)
    return a * c + _shifted(middle, 16) + _shifted(other, 16), low


def _shifted(bits: Bits, places: int) -> Bits:
    """Bits shifted right, zeros in front."""
    width = 32 if bits.emitter.precision.bits == 32 else 64
    return (bits >> places) & ((1 << (width - places)) - 1)


def _word(bits: Bits) -> Bits:
    """The last 32 bits."""
    return bits if bits.emitter.precision.bits == 32 else bits & _WORD


def _signed(value: int, like: Bits) -> int:
    """A word as the signed integer that constants of a lane are."""
    value &= _WORD
    narrow = like.emitter.precision.bits == 32
    return value - (1 << 32) if narrow and value >> 31 else value
