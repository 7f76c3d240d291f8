"""What a target for kernels has to offer.

Kernels compute with the typed values of ``native/values.py``, and these hand every operation to an emitter.
``native/llvm.py`` emits machine code, ``native/interpreter.py`` computes at once with NumPy. Another target
is another subclass of :class:`Emitter`: nothing else of a kernel knows what it runs on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

from quinr_pl.native.precision import Precision

Raw = Any
"""A value in the emitter's own terms: of an index, a vector, bits, a mask, a condition or a pointer."""


class Op(Enum):
    """Operations without side effects, by the types that they take and, where it is another, give.

    An index is a signed integer of 64 bits. Bits are signed integers as wide as a number, one in each lane.
    """

    INDEX_ADD = "index + index"
    INDEX_SUBTRACT = "index - index"
    INDEX_MULTIPLY = "index * index"
    INDEX_DIVIDE = "index // index, neither of them negative"
    INDEX_SHIFT_LEFT = "index << index"
    INDEX_SHIFT_RIGHT = "index >> index, neither of them negative"
    INDEX_AND = "index & index"
    INDEX_OR = "index | index"
    INDEX_LESS = "index < index, a condition"
    INDEX_LESS_EQUAL = "index <= index, a condition"
    INDEX_EQUAL = "index == index, a condition"
    INDEX_DIFFER = "index != index, a condition"

    ADD = "vector + vector"
    SUBTRACT = "vector - vector"
    MULTIPLY = "vector * vector"
    DIVIDE = "vector / vector"
    NEGATE = "-vector"
    FMA = "vector * vector + vector, rounded once where the target can"
    SQRT = "square root of a vector"
    ABSOLUTE = "magnitudes of a vector"
    MINIMUM = "smaller numbers of two vectors; of a number and NaN, the number"
    MAXIMUM = "larger numbers of two vectors; of a number and NaN, the number"
    ROUND = "nearest integers of a vector, as numbers; ties to even"
    LESS = "vector < vector, a mask; false for NaN"
    EXCEED = "vector > vector, a mask; true for NaN"
    SELECT = "the vector where a mask holds, else another vector"

    REINTERPRET = "bits of a vector"
    REINTERPRETED = "vector of bits"
    TRUNCATE = "numbers of a vector as integers, which are bits; whole numbers within their range"
    CONVERT = "bits, which are integers, as numbers of a vector"
    BITS_ADD = "bits + bits, without regard to overflow"
    BITS_SUBTRACT = "bits - bits, without regard to overflow"
    BITS_MULTIPLY = "bits * bits, without regard to overflow"
    BITS_AND = "bits & bits"
    BITS_XOR = "bits ^ bits"
    BITS_SHIFT_LEFT = "bits << bits"
    BITS_SHIFT_RIGHT = "bits >> bits, which keeps the sign"
    BITS_DIFFER = "bits != bits, a mask"

    ANY = "whether a mask holds in any lane, a condition"
    LANES_BELOW = "lanes whose number is below an index, a mask"
    LANES_FROM = "an index and those that follow it, one in each lane: bits, of which only the last fit"


class Element(Enum):
    """What a pointer points to."""

    NUMBER = "a number; loaded into every lane"
    VECTOR = "a vector, aligned as a number is"
    WORD = "a 64-bit integer; loaded as an index"


class Emitter(ABC):
    """Operations on raw values, for one kernel.

    Attributes:
        precision: The format of the numbers.
    """

    precision: Precision

    @abstractmethod
    def argument(self, position: int) -> Raw:
        """One of the kernel's 64-bit arguments, as an index."""

    @abstractmethod
    def index(self, value: int) -> Raw:
        """A constant index."""

    @abstractmethod
    def vector(self, value: float) -> Raw:
        """A constant number in every lane."""

    @abstractmethod
    def bits(self, value: int) -> Raw:
        """A constant integer in every lane."""

    @abstractmethod
    def operate(self, op: Op, *operands: Raw) -> Raw:
        """The result of an operation."""

    @abstractmethod
    def shuffle(self, a: Raw, b: Raw, order: Sequence[int]) -> Raw:
        """A vector of lanes of two vectors; those of the second are counted on."""

    @abstractmethod
    def cos_sin_by_library(self, x: Raw) -> tuple[Raw, Raw]:
        """Cosine and sine of any finite number, however slow: what hardly ever happens."""

    @abstractmethod
    def pointer(self, word: Raw) -> Raw:
        """The pointer of an address, which is an index."""

    @abstractmethod
    def moved(self, pointer: Raw, count: Raw, element: Element) -> Raw:
        """A pointer so many elements on."""

    @abstractmethod
    def pick(self, condition: Raw, a: Raw, b: Raw) -> Raw:
        """The first of two pointers if the condition holds, else the second."""

    @abstractmethod
    def load(self, pointer: Raw, element: Element) -> Raw:
        """What a pointer points to: a vector or an index."""

    @abstractmethod
    def store(self, value: Raw, pointer: Raw) -> None:
        """Write a vector."""

    @abstractmethod
    def store_sum(self, value: Raw, pointer: Raw) -> None:
        """Write the sum over a vector's lanes, taken by halving, as one number."""

    @abstractmethod
    def gather(self, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> Raw:
        """Read number ``start + row * stride`` into the lane of each row from ``first`` on.

        Lanes of rows from ``stop`` on get 0, and their memory is not touched.
        """

    @abstractmethod
    def scatter(self, value: Raw, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> None:
        """Write the lanes of a vector where :meth:`gather` reads them."""

    @abstractmethod
    def loop(self, start: Raw, stop: Raw, carried: list[Raw]) -> Iterator[Raw]:
        """Yield each index from ``start`` to below ``stop``; code that is emitted then is the loop's body.

        An emitter of code yields once.

        Args:
            start: The first index.
            stop: The index after the last.
            carried: Vectors that change from turn to turn. While the body is emitted the list holds their
                values at its beginning, and the caller replaces them with those at its end. After the loop
                it holds the last ones.
        """

    @abstractmethod
    def branch(
        self, condition: Raw, then: Callable[[], object], otherwise: Callable[[], object] | None = None
    ) -> None:
        """Run one body if a condition holds, and the other, if there is one, if it does not."""

    @abstractmethod
    def rarely(
        self, condition: Raw, usual: Sequence[Raw], body: Callable[[], Sequence[Raw]]
    ) -> Sequence[Raw]:
        """The vectors that a body returns if a condition holds, which it hardly ever does; else the usual."""
