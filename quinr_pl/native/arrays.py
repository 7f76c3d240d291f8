"""Memory of kernels: arrays of integers, numbers and vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from quinr_pl.native.emitter import Element, Emitter, Raw
from quinr_pl.native.values import (
    AnyIndex,
    AnyVector,
    Complex,
    Condition,
    Index,
    Vector,
    raw_index,
    raw_vector,
)


@dataclass(frozen=True)
class Array:
    """Memory from a pointer on, of a length that the kernel has to know.

    Attributes:
        emitter: Knows what reading and writing become.
        pointer: Address of element 0, in the emitter's own terms.
    """

    emitter: Emitter
    pointer: Raw

    def _moved(self, index: AnyIndex, element: Element) -> Raw:
        return self.emitter.moved(self.pointer, raw_index(self.emitter, index), element)

    def _load(self, pointer: Raw, element: Element) -> Vector:
        return Vector(self.emitter, self.emitter.load(pointer, element))

    def _store(self, value: AnyVector, pointer: Raw) -> None:
        self.emitter.store(raw_vector(self.emitter, value), pointer)


class Integers(Array):
    """Array of 64-bit integers."""

    def __getitem__(self, index: AnyIndex) -> Index:
        return Index(self.emitter, self.emitter.load(self._moved(index, Element.WORD), Element.WORD))


class Numbers(Array):
    """Single numbers: reading one fills all lanes."""

    def __getitem__(self, index: AnyIndex) -> Vector:
        return self._load(self._moved(index, Element.NUMBER), Element.NUMBER)

    def at(self, index: AnyIndex) -> Numbers:
        """The array from an index on."""
        return Numbers(self.emitter, self._moved(index, Element.NUMBER))

    def vector(self, index: AnyIndex) -> Vector:
        """Read as many numbers from an index on as a vector has lanes."""
        return self._load(self._moved(index, Element.NUMBER), Element.VECTOR)

    def set_vector(self, index: AnyIndex, value: AnyVector) -> None:
        """Write a vector where :meth:`vector` reads one."""
        self._store(value, self._moved(index, Element.NUMBER))

    def set_sum(self, index: AnyIndex, value: Vector) -> None:
        """Write the sum over a vector's lanes as one number."""
        self.emitter.store_sum(value.raw, self._moved(index, Element.NUMBER))

    def gather(self, start: AnyIndex, first: AnyIndex, stop: AnyIndex, stride: AnyIndex) -> Vector:
        """Read number ``start + row * stride`` into the lane of each row from ``first`` on.

        Lanes of rows from ``stop`` on get 0.
        """
        rows = [raw_index(self.emitter, index) for index in (start, first, stop, stride)]
        return Vector(self.emitter, self.emitter.gather(self.pointer, *rows))

    def scatter(
        self, value: Vector, start: AnyIndex, first: AnyIndex, stop: AnyIndex, stride: AnyIndex
    ) -> None:
        """Write the lanes of a vector where :meth:`gather` reads them."""
        rows = [raw_index(self.emitter, index) for index in (start, first, stop, stride)]
        self.emitter.scatter(value.raw, self.pointer, *rows)


class Vectors(Array):
    """Vectors, one after the other."""

    def __getitem__(self, index: AnyIndex) -> Vector:
        return self._load(self._moved(index, Element.VECTOR), Element.VECTOR)

    def __setitem__(self, index: AnyIndex, value: AnyVector) -> None:
        self._store(value, self._moved(index, Element.VECTOR))

    def at(self, index: AnyIndex) -> Vectors:
        """The array from an index on."""
        return Vectors(self.emitter, self._moved(index, Element.VECTOR))

    def complexes(self) -> Complexes:
        """The same memory as complex numbers."""
        return Complexes(self.emitter, self.pointer)

    def numbers(self) -> Numbers:
        """The same memory as single numbers."""
        return Numbers(self.emitter, self.pointer)


class Complexes(Array):
    """Complex numbers in each lane: a vector of real parts, one of imaginary parts, and so on."""

    def __getitem__(self, index: AnyIndex) -> Complex:
        vectors, real = Vectors(self.emitter, self.pointer), index * 2
        return Complex(vectors[real], vectors[real + 1])

    def __setitem__(self, index: AnyIndex, value: Complex) -> None:
        vectors, real = Vectors(self.emitter, self.pointer), index * 2
        vectors[real] = value.real
        vectors[real + 1] = value.imag


_AnyArray = TypeVar("_AnyArray", Numbers, Vectors)


def pick(condition: Condition, a: _AnyArray, b: _AnyArray) -> _AnyArray:
    """The first of two arrays if the condition holds, else the second."""
    return type(a)(a.emitter, a.emitter.pick(condition.raw, a.pointer, b.pointer))
