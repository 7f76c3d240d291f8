"""Typed values of kernels, with the operators of Python's numbers.

A vector holds one number for each of a few coordinates, its lanes. Explicit vectors keep amplitudes in
registers where a compiler that vectorizes loops would first have to prove that arrays do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import overload

from quinr_pl.native.emitter import Emitter, Op, Raw


@dataclass(frozen=True, eq=False)
class Value:
    """A value of a kernel.

    Attributes:
        emitter: Knows what the operations on it become.
        raw: The value in the emitter's own terms.
    """

    emitter: Emitter
    raw: Raw


class Condition(Value):
    """Whether something holds for the kernel as a whole."""


class Index(Value):
    """A signed 64-bit integer: a number of things, or the position of one."""

    def __add__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_ADD, self, other)

    def __radd__(self, other: int) -> Index:
        return self._operate(Op.INDEX_ADD, other, self)

    def __sub__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_SUBTRACT, self, other)

    def __rsub__(self, other: int) -> Index:
        return self._operate(Op.INDEX_SUBTRACT, other, self)

    def __mul__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_MULTIPLY, self, other)

    def __rmul__(self, other: int) -> Index:
        return self._operate(Op.INDEX_MULTIPLY, other, self)

    def __floordiv__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_DIVIDE, self, other)

    def __lshift__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_SHIFT_LEFT, self, other)

    def __rshift__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_SHIFT_RIGHT, self, other)

    def __and__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_AND, self, other)

    def __or__(self, other: AnyIndex) -> Index:
        return self._operate(Op.INDEX_OR, self, other)

    def __ror__(self, other: int) -> Index:
        return self._operate(Op.INDEX_OR, other, self)

    def __lt__(self, other: AnyIndex) -> Condition:
        return Condition(self.emitter, self._raw(Op.INDEX_LESS, self, other))

    def __le__(self, other: AnyIndex) -> Condition:
        return Condition(self.emitter, self._raw(Op.INDEX_LESS_EQUAL, self, other))

    def __gt__(self, other: AnyIndex) -> Condition:
        return Condition(self.emitter, self._raw(Op.INDEX_LESS, other, self))

    def is_zero(self) -> Condition:
        """Whether the index is 0."""
        return Condition(self.emitter, self._raw(Op.INDEX_EQUAL, self, 0))

    def is_not_zero(self) -> Condition:
        """Whether the index is not 0."""
        return Condition(self.emitter, self._raw(Op.INDEX_DIFFER, self, 0))

    def _operate(self, op: Op, a: AnyIndex, b: AnyIndex) -> Index:
        return Index(self.emitter, self._raw(op, a, b))

    def _raw(self, op: Op, a: AnyIndex, b: AnyIndex) -> Raw:
        return self.emitter.operate(op, raw_index(self.emitter, a), raw_index(self.emitter, b))


AnyIndex = Index | int
"""An index, or one that is known while the kernel is emitted."""


def raw_index(emitter: Emitter, index: AnyIndex) -> Raw:
    """An index in the emitter's own terms."""
    return index.raw if isinstance(index, Index) else emitter.index(index)


@overload
def ceil_div(a: Index, b: int) -> Index: ...


@overload
def ceil_div(a: AnyIndex, b: int) -> AnyIndex: ...


def ceil_div(a: AnyIndex, b: int) -> AnyIndex:
    """Quotient of a non-negative index and a positive number, rounded up."""
    return (a + (b - 1)) // b


class Vector(Value):
    """One number in each lane."""

    def __add__(self, other: AnyVector) -> Vector:
        return _vector(Op.ADD, self, other)

    def __radd__(self, other: float) -> Vector:
        return _vector(Op.ADD, other, self)

    def __sub__(self, other: AnyVector) -> Vector:
        return _vector(Op.SUBTRACT, self, other)

    def __rsub__(self, other: float) -> Vector:
        return _vector(Op.SUBTRACT, other, self)

    def __mul__(self, other: AnyVector) -> Vector:
        return _vector(Op.MULTIPLY, self, other)

    def __rmul__(self, other: float) -> Vector:
        return _vector(Op.MULTIPLY, other, self)

    def __truediv__(self, other: AnyVector) -> Vector:
        return _vector(Op.DIVIDE, self, other)

    def __rtruediv__(self, other: float) -> Vector:
        return _vector(Op.DIVIDE, other, self)

    def __neg__(self) -> Vector:
        return _vector(Op.NEGATE, self)

    def __abs__(self) -> Vector:
        return _vector(Op.ABSOLUTE, self)

    def __lt__(self, other: AnyVector) -> Mask:
        return Mask(self.emitter, _raw(Op.LESS, self, other))

    def __gt__(self, other: AnyVector) -> Mask:
        return Mask(self.emitter, _raw(Op.LESS, other, self))

    def exceeds(self, other: AnyVector) -> Mask:
        """Where a number is greater than another, or either is NaN."""
        return Mask(self.emitter, _raw(Op.EXCEED, self, other))

    def as_bits(self) -> Bits:
        """The numbers' bits."""
        return Bits(self.emitter, self.emitter.operate(Op.REINTERPRET, self.raw))

    def as_integers(self) -> Bits:
        """Whole numbers as integers."""
        return Bits(self.emitter, self.emitter.operate(Op.TRUNCATE, self.raw))


AnyVector = Vector | float
"""A vector, or a number for every lane that is known while the kernel is emitted."""


class Bits(Value):
    """A signed integer as wide as a number in each lane."""

    def __add__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_ADD, other)

    def __sub__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_SUBTRACT, other)

    def __mul__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_MULTIPLY, other)

    def __and__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_AND, other)

    def __xor__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_XOR, other)

    def __lshift__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_SHIFT_LEFT, other)

    def __rshift__(self, other: AnyBits) -> Bits:
        return self._operate(Op.BITS_SHIFT_RIGHT, other)

    def is_not_zero(self) -> Mask:
        """Where the integer is not 0."""
        return Mask(self.emitter, self._raw(Op.BITS_DIFFER, 0))

    def as_vector(self) -> Vector:
        """The numbers that have these bits."""
        return Vector(self.emitter, self.emitter.operate(Op.REINTERPRETED, self.raw))

    def as_numbers(self) -> Vector:
        """The integers as numbers."""
        return Vector(self.emitter, self.emitter.operate(Op.CONVERT, self.raw))

    def _operate(self, op: Op, other: AnyBits) -> Bits:
        return Bits(self.emitter, self._raw(op, other))

    def _raw(self, op: Op, other: AnyBits) -> Raw:
        operand = other.raw if isinstance(other, Bits) else self.emitter.bits(other)
        return self.emitter.operate(op, self.raw, operand)


AnyBits = Bits | int
"""Bits, or an integer for every lane that is known while the kernel is emitted."""


class Mask(Value):
    """Whether something holds, lane by lane."""

    def any(self) -> Condition:
        """Whether it holds in any lane."""
        return Condition(self.emitter, self.emitter.operate(Op.ANY, self.raw))


@dataclass(frozen=True, eq=False)
class Complex:
    """A complex number in each lane."""

    real: Vector
    imag: Vector

    def __iter__(self) -> Iterator[Vector]:
        return iter((self.real, self.imag))

    def __mul__(self, other: Complex) -> Complex:
        return Complex(
            fma(self.real, other.real, -(self.imag * other.imag)),
            fma(self.real, other.imag, self.imag * other.real),
        )

    def conj(self) -> Complex:
        """Conjugate of a complex vector."""
        return Complex(self.real, -self.imag)

    def squared(self) -> Vector:
        """Square of the modulus."""
        return dot((self.real, self.real), (self.imag, self.imag))


def raw_vector(emitter: Emitter, vector: AnyVector) -> Raw:
    """A vector in the emitter's own terms."""
    return vector.raw if isinstance(vector, Vector) else emitter.vector(vector)


def _raw(op: Op, *operands: AnyVector) -> Raw:
    emitter = next(operand.emitter for operand in operands if isinstance(operand, Vector))
    return emitter.operate(op, *(raw_vector(emitter, operand) for operand in operands))


def _vector(op: Op, *operands: AnyVector) -> Vector:
    emitter = next(operand.emitter for operand in operands if isinstance(operand, Vector))
    return Vector(emitter, _raw(op, *operands))


def fma(a: AnyVector, b: AnyVector, c: AnyVector) -> Vector:
    """Product a b plus c, rounded once where the machine can."""
    return _vector(Op.FMA, a, b, c)


def dot(*pairs: tuple[Vector, AnyVector]) -> Vector:
    """Sum of products; negate a factor to subtract."""
    (a, b), *others = pairs
    total = a * b
    for a, b in others:
        total = fma(a, b, total)
    return total


def sqrt(a: Vector) -> Vector:
    """Square root of each lane."""
    return _vector(Op.SQRT, a)


def rint(a: Vector) -> Vector:
    """Nearest integer, as a number."""
    return _vector(Op.ROUND, a)


def minimum(a: Vector, b: AnyVector) -> Vector:
    """The smaller number; of a number and NaN, the number."""
    return _vector(Op.MINIMUM, a, b)


def maximum(a: Vector, b: AnyVector) -> Vector:
    """The larger number; of a number and NaN, the number."""
    return _vector(Op.MAXIMUM, a, b)


def where(mask: Mask, a: AnyVector, b: AnyVector) -> Vector:
    """Lane by lane, a where the mask holds, else b."""
    emitter = mask.emitter
    return Vector(
        emitter, emitter.operate(Op.SELECT, mask.raw, raw_vector(emitter, a), raw_vector(emitter, b))
    )


def interleave(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """Lanes of two vectors in turn, as two vectors."""
    lanes = a.emitter.precision.lanes
    order = [lane // 2 + (lanes if lane % 2 else 0) for lane in range(2 * lanes)]
    return _shuffle(a, b, order[:lanes]), _shuffle(a, b, order[lanes:])


def deinterleave(low: Vector, high: Vector) -> tuple[Vector, Vector]:
    """Even and odd lanes; the inverse of :func:`interleave`."""
    even = list(range(0, 2 * low.emitter.precision.lanes, 2))
    return _shuffle(low, high, even), _shuffle(low, high, [lane + 1 for lane in even])


def _shuffle(a: Vector, b: Vector, order: list[int]) -> Vector:
    return Vector(a.emitter, a.emitter.shuffle(a.raw, b.raw, order))
