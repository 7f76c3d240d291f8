"""Kernels run by NumPy, one operation after the other: what machine code is held against.

It reads and writes the memory that a kernel's arguments point to, as machine code does, but refuses what
lies outside the arrays that it was told of. Rounding differs on machines that cannot fuse products and sums.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from quinr_pl.native.code import Code, Program
from quinr_pl.native.emitter import Element, Emitter, Op, Raw
from quinr_pl.native.pieces import Function
from quinr_pl.native.precision import Precision

Vector = npt.NDArray[Any]

_OPERATIONS: Mapping[Op, Callable[..., Raw]] = {
    Op.INDEX_ADD: operator.add,
    Op.INDEX_SUBTRACT: operator.sub,
    Op.INDEX_MULTIPLY: operator.mul,
    Op.INDEX_DIVIDE: operator.floordiv,
    Op.INDEX_SHIFT_LEFT: operator.lshift,
    Op.INDEX_SHIFT_RIGHT: operator.rshift,
    Op.INDEX_AND: operator.and_,
    Op.INDEX_OR: operator.or_,
    Op.INDEX_LESS: operator.lt,
    Op.INDEX_LESS_EQUAL: operator.le,
    Op.INDEX_EQUAL: operator.eq,
    Op.INDEX_DIFFER: operator.ne,
    Op.ADD: np.add,
    Op.SUBTRACT: np.subtract,
    Op.MULTIPLY: np.multiply,
    Op.DIVIDE: np.divide,
    Op.NEGATE: np.negative,
    Op.SQRT: np.sqrt,
    Op.ABSOLUTE: np.abs,
    Op.MINIMUM: np.fmin,
    Op.MAXIMUM: np.fmax,
    Op.ROUND: np.rint,
    Op.LESS: np.less,
    Op.EXCEED: lambda a, b: ~(a <= b),
    Op.SELECT: np.where,
    Op.REINTERPRET: lambda a: a.view(f"i{a.itemsize}"),
    Op.REINTERPRETED: lambda a: a.view(f"f{a.itemsize}"),
    Op.TRUNCATE: lambda a: a.astype(f"i{a.itemsize}"),
    Op.CONVERT: lambda a: a.astype(f"f{a.itemsize}"),
    Op.BITS_ADD: np.add,
    Op.BITS_SUBTRACT: np.subtract,
    Op.BITS_MULTIPLY: np.multiply,
    Op.BITS_AND: np.bitwise_and,
    Op.BITS_XOR: np.bitwise_xor,
    Op.BITS_SHIFT_LEFT: np.left_shift,
    Op.BITS_SHIFT_RIGHT: np.right_shift,
    Op.BITS_DIFFER: np.not_equal,
    Op.ANY: lambda mask: bool(mask.any()),
}


def _fma(a: Vector, b: Vector, c: Vector) -> Vector:
    """Product and sum, whose rounding error is that of the sum alone, but for rare ties."""
    if a.dtype == np.float32:  # products of two are exact in float64
        return (a.astype(np.float64) * b + c).astype(np.float32)
    product = a * b
    total = product + c
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    lost = a_low * b_low - (product - a_high * b_high - a_low * b_high - a_high * b_low)
    of_c = total - product
    lost += (product - (total - of_c)) + (c - of_c)
    return np.where(np.isfinite(lost), total + lost, total)


def _halves(a: Vector) -> tuple[Vector, Vector]:
    """Two numbers of 26 bits whose sum is a double (Dekker 1971)."""
    scaled = a * (2.0**27 + 1)
    high = scaled - (scaled - a)
    return high, a - high


def functions(program: Program, memory: Sequence[Tensor] | None = None) -> dict[str, Function]:
    """The kernels of a program, as :func:`quinr_pl.native.machine_code.load` gives them.

    Args:
        program: Kernels to build.
        memory: What they may read and write besides their arguments; anything if left out.

    Returns:
        The kernels by name.

    Raises:
        IndexError: When a kernel that is called leaves the memory.
    """
    allowed = None
    if memory is not None:
        allowed = [range(t.data_ptr(), t.data_ptr() + t.numel() * t.element_size()) for t in memory]

    return {
        name: _Interpreted(kernel, program.precision, allowed) for name, kernel in program.kernels.items()
    }


class _Interpreted(Function):
    """A kernel that is emitted anew, and computed, whenever it is called.

    Args:
        kernel: What emits it.
        precision: The format of its numbers.
        allowed: Addresses that may be read and written; None for all.
    """

    def __init__(
        self, kernel: Callable[[Code], object], precision: Precision, allowed: Sequence[range] | None
    ) -> None:
        self._kernel, self._precision, self._allowed = kernel, precision, allowed

    def __call__(self, address: int) -> None:
        with np.errstate(all="ignore"):
            self._kernel(Code(Interpreter(address, self._precision, self._allowed)))


class Interpreter(Emitter):
    """Computes where another emitter would write down what to compute.

    Indices are Python's integers, conditions its booleans, pointers addresses; vectors, bits and masks are
    arrays with an element for each lane.

    Args:
        arguments: Address of the kernel's 64-bit arguments.
        precision: The format of the numbers.
        allowed: Addresses that may be read and written; None for all.
    """

    def __init__(self, arguments: int, precision: Precision, allowed: Sequence[range] | None = None) -> None:
        self.precision = precision
        self._arguments, self._allowed = arguments, allowed
        self._lanes = np.arange(precision.lanes)
        size = precision.dtype.itemsize
        self._sizes = {Element.NUMBER: size, Element.VECTOR: size * precision.lanes, Element.WORD: 8}

    def argument(self, position: int) -> Raw:
        """One of the kernel's 64-bit arguments; see `Emitter`."""
        return ctypes.c_int64.from_address(self._arguments + 8 * position).value

    def index(self, value: int) -> Raw:
        """A constant index; see `Emitter`."""
        return value

    def vector(self, value: float) -> Raw:
        """A constant number in every lane; see `Emitter`."""
        return np.full(self.precision.lanes, value, self.precision.dtype)

    def bits(self, value: int) -> Raw:
        """A constant integer in every lane; see `Emitter`."""
        return np.full(self.precision.lanes, value, f"i{self.precision.dtype.itemsize}")

    def operate(self, op: Op, *operands: Raw) -> Raw:
        """The result of an operation; see `Emitter`."""
        if op is Op.FMA:
            return _fma(*operands)
        if op is Op.LANES_BELOW:
            return self._lanes < operands[0]
        if op is Op.LANES_FROM:
            return (operands[0] + self._lanes).astype(f"i{self.precision.dtype.itemsize}")
        return _OPERATIONS[op](*operands)

    def shuffle(self, a: Raw, b: Raw, order: Sequence[int]) -> Raw:
        """A vector of lanes of two vectors; see `Emitter`."""
        return np.concatenate([a, b])[list(order)]

    def cos_sin_by_library(self, x: Raw) -> tuple[Raw, Raw]:
        """Cosine and sine of any finite number; see `Emitter`."""
        return np.cos(x), np.sin(x)

    def pointer(self, word: Raw) -> Raw:
        """The pointer of an address; see `Emitter`."""
        return word

    def moved(self, pointer: Raw, count: Raw, element: Element) -> Raw:
        """A pointer so many elements on; see `Emitter`."""
        return pointer + count * self._sizes[element]

    def pick(self, condition: Raw, a: Raw, b: Raw) -> Raw:
        """One of two pointers; see `Emitter`."""
        return a if condition else b

    def load(self, pointer: Raw, element: Element) -> Raw:
        """What a pointer points to; see `Emitter`."""
        if element is Element.WORD:
            return int(self._memory(pointer, 1, np.dtype(np.int64))[0])
        if element is Element.NUMBER:
            return self.vector(self._numbers(pointer, 1)[0])
        return self._numbers(pointer, self.precision.lanes).copy()

    def store(self, value: Raw, pointer: Raw) -> None:
        """Write a vector; see `Emitter`."""
        self._numbers(pointer, self.precision.lanes)[:] = value

    def store_sum(self, value: Raw, pointer: Raw) -> None:
        """Write the sum over a vector's lanes; see `Emitter`."""
        while len(value) > 1:
            low, high = np.split(value, 2)
            value = low + high
        self._numbers(pointer, 1)[:] = value

    def gather(self, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> Raw:
        """Read a strided vector; see `Emitter`."""
        value = self.vector(0.0)
        for lane, row in self._rows(first, stop):
            place = self.moved(pointer, start + row * stride, Element.NUMBER)
            value[lane] = self._numbers(place, 1)[0]
        return value

    def scatter(self, value: Raw, pointer: Raw, start: Raw, first: Raw, stop: Raw, stride: Raw) -> None:
        """Write a strided vector; see `Emitter`."""
        for lane, row in self._rows(first, stop):
            place = self.moved(pointer, start + row * stride, Element.NUMBER)
            self._numbers(place, 1)[:] = value[lane]

    def _rows(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Lanes and their rows, as far as there are rows."""
        return enumerate(range(first, min(stop, first + self.precision.lanes)))

    def _numbers(self, address: int, count: int) -> Vector:
        return self._memory(address, count, self.precision.dtype)

    def _memory(self, address: int, count: int, dtype: np.dtype) -> Vector:
        """An array that lies in memory from an address on."""
        size = count * dtype.itemsize
        if self._allowed is not None and not any(
            address in part and address + size <= part.stop for part in self._allowed
        ):
            raise IndexError(f"a kernel reads or writes {size} bytes at {address:#x}, which are not its own")
        return np.frombuffer(memoryview((ctypes.c_char * size).from_address(address)), dtype)

    def loop(self, start: Raw, stop: Raw, carried: list[Raw]) -> Iterator[Raw]:
        """See Emitter; yields once for each turn."""
        yield from range(start, stop)

    def branch(
        self, condition: Raw, then: Callable[[], object], otherwise: Callable[[], object] | None = None
    ) -> None:
        """Run one of two bodies; see `Emitter`."""
        if condition:
            then()
        elif otherwise is not None:
            otherwise()

    def rarely(
        self, condition: Raw, usual: Sequence[Raw], body: Callable[[], Sequence[Raw]]
    ) -> Sequence[Raw]:
        """Run a body that is hardly ever needed; see `Emitter`."""
        return body() if condition else usual
