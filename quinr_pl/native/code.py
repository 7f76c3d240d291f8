"""Control flow of kernels, and what belongs together as a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from quinr_pl.native.emitter import Emitter, Op
from quinr_pl.native.precision import Precision
from quinr_pl.native.values import (
    AnyIndex,
    AnyVector,
    Bits,
    Complex,
    Condition,
    Index,
    Mask,
    Vector,
    raw_index,
    raw_vector,
)


class Variable:
    """A vector that a loop changes; the loop has to name it, see :meth:`Code.range`.

    Attributes:
        value: The vector at this point of the kernel.
    """

    def __init__(self, value: Vector) -> None:
        self.value = value


@dataclass(frozen=True)
class Code:
    """A kernel under construction.

    Attributes:
        emitter: Knows what its operations become.
    """

    emitter: Emitter

    @property
    def precision(self) -> Precision:
        """The format of the numbers."""
        return self.emitter.precision

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return self.emitter.precision.lanes

    def constant(self, value: float) -> Vector:
        """The same number in every lane."""
        return Vector(self.emitter, self.emitter.vector(value))

    def complex(self, real: float, imag: float) -> Complex:
        """The same complex number in every lane."""
        return Complex(self.constant(real), self.constant(imag))

    def variable(self, value: AnyVector = 0.0) -> Variable:
        """A vector that loops change."""
        return Variable(Vector(self.emitter, raw_vector(self.emitter, value)))

    def lanes_below(self, count: AnyIndex) -> Mask:
        """Where a lane's number is below an index."""
        return Mask(self.emitter, self.emitter.operate(Op.LANES_BELOW, raw_index(self.emitter, count)))

    def lanes_from(self, first: AnyIndex) -> Bits:
        """An index and those that follow it, one in each lane, in as many bits as a number has."""
        return Bits(self.emitter, self.emitter.operate(Op.LANES_FROM, raw_index(self.emitter, first)))

    def integer(self, index: AnyIndex) -> Bits:
        """The same index in every lane, in as many bits as a number has."""
        return self.lanes_from(index) - self.lanes_from(0)

    @overload
    def range(self, start: AnyIndex, stop: Index, *changed: Variable, unroll: int = 1) -> Iterator[Index]: ...

    @overload
    def range(
        self, start: AnyIndex, stop: AnyIndex, *changed: Variable, unroll: int = 1
    ) -> Iterator[AnyIndex]: ...

    def range(
        self, start: AnyIndex, stop: AnyIndex, *changed: Variable, unroll: int = 1
    ) -> Iterator[AnyIndex]:
        """The indices from ``start`` to below ``stop``, for a loop over them in the kernel.

        The body of the ``for`` statement is emitted once, whatever the number of turns: it must not leave the
        loop, and what it computes is lost unless it is stored or in a variable. A range of at most ``unroll``
        known indices becomes straight code instead, and gives Python's integers.

        Args:
            start: The first index.
            stop: The index after the last.
            changed: Variables whose values go from one turn to the next.
            unroll: Turns of which no loop is made.
        """
        if isinstance(start, int) and isinstance(stop, int) and stop - start <= unroll:
            yield from range(start, stop)
            return
        emitter = self.emitter
        carried = [variable.value.raw for variable in changed]
        for index in emitter.loop(raw_index(emitter, start), raw_index(emitter, stop), carried):
            self._assign(changed, carried)
            yield Index(emitter, index)
            carried[:] = [variable.value.raw for variable in changed]
        self._assign(changed, carried)

    def _assign(self, variables: Sequence[Variable], raws: Sequence[object]) -> None:
        for variable, raw in zip(variables, raws, strict=True):
            variable.value = Vector(self.emitter, raw)

    def when(self, condition: Condition, body: Callable[[], object]) -> None:
        """Run the body if the condition holds."""
        self.emitter.branch(condition.raw, body)

    def choose(
        self, condition: Condition, then: Callable[[], object], otherwise: Callable[[], object]
    ) -> None:
        """Run the first body if the condition holds, else the second."""
        self.emitter.branch(condition.raw, then, otherwise)


@dataclass(frozen=True)
class Program:
    """Kernels that are compiled together.

    Attributes:
        name: What they are for.
        precision: The format of their numbers.
        kernels: By name, what emits each one.
    """

    name: str
    precision: Precision
    kernels: Mapping[str, Callable[[Code], object]]
