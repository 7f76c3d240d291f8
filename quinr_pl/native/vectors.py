"""Arithmetic on SIMD vectors, written in Python and emitted as LLVM code.

A vector holds one number for each of a few coordinates, its lanes. Explicit vectors keep amplitudes in
registers where a compiler that vectorizes loops would first have to prove that arrays do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial, log, pi, sqrt
from typing import Any

import numpy as np
from llvmlite import ir

from quinr_pl.native.precision import Precision

INDEX = ir.IntType(64)
Value = Any
"""An ir.Value of vector type, or for indices a Python int or an ir.Value of 64 bits."""

_NEAR = 2.0**13
"""Radians up to which a sine is computed here: there are as many bits to spare in parts of π/2."""


@dataclass(frozen=True)
class Array:
    """Memory in a kernel: ``vectors[i]`` are vectors, or single numbers when ``scalar``."""

    pointer: Value
    scalar: bool = False


Complex = tuple[Value, Value]


class Emitter:
    """Emits the instructions of one function.

    Args:
        function: An empty LLVM function.
        precision: The format of its numbers.
    """

    def __init__(self, function: ir.Function, precision: Precision) -> None:
        self.builder = ir.IRBuilder(function.append_basic_block())
        self.module = function.module
        self.precision = precision
        self.number = ir.FloatType() if precision.name == "float32" else ir.DoubleType()
        self.vector = ir.VectorType(self.number, precision.lanes)
        self.zero = self.constant(0.0)
        self.one = self.constant(1.0)

    def constant(self, value: float) -> Value:
        """The same number in every lane."""
        return ir.Constant(self.vector, [float(self.precision.dtype.type(value))] * self.lanes)

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return self.precision.lanes

    # Indices ------------------------------------------------------------------------------------------

    def index(self, value: Value) -> Value:
        """A Python int as an LLVM index."""
        return ir.Constant(INDEX, value) if isinstance(value, int) else value

    def plus(self, a: Value, b: Value) -> Value:
        """Sum of indices."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        return self.builder.add(self.index(a), self.index(b))

    def minus(self, a: Value, b: Value) -> Value:
        """Difference of indices."""
        return self.builder.sub(self.index(a), self.index(b))

    def times(self, a: Value, b: Value) -> Value:
        """Product of indices."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        return self.builder.mul(self.index(a), self.index(b))

    def ceil_div(self, a: Value, b: int) -> Value:
        """Quotient of a non-negative index and a number, rounded up."""
        return self.builder.udiv(self.plus(a, b - 1), self.index(b))

    def offset(self, *terms: tuple[Value, Value] | Value) -> Value:
        """Sum of indices and of (index, stride) pairs."""
        total: Value = 0
        for term in terms:
            total = self.plus(total, self.times(*term) if isinstance(term, tuple) else term)
        return total

    # Memory -------------------------------------------------------------------------------------------

    def _address(self, array: Array, index: Value) -> Value:
        element = self.number if array.scalar else self.vector
        return self.builder.gep(array.pointer, [self.index(index)], source_etype=element)

    def at(self, array: Array, index: Value) -> Array:
        """The array from an index on."""
        return Array(self._address(array, index), array.scalar)

    def load(self, array: Array, index: Value = 0) -> Value:
        """Read a vector, or a number into every lane."""
        address, align = self._address(array, index), self.precision.dtype.itemsize
        if array.scalar:
            return self.splat(self.builder.load(address, typ=self.number, align=align))
        return self.builder.load(address, typ=self.vector, align=align)

    def store(self, value: Value, array: Array, index: Value = 0) -> None:
        """Write a vector."""
        self.builder.store(value, self._address(array, index), align=self.precision.dtype.itemsize)

    def load_from(self, array: Array, index: Value) -> Value:
        """Read a vector that begins at a number of a scalar array, or anywhere in memory."""
        return self.load(self._unaligned(array, index))

    def store_to(self, value: Value, array: Array, index: Value) -> None:
        """Write a vector where :meth:`load_from` reads."""
        self.store(value, self._unaligned(array, index))

    def _unaligned(self, array: Array, index: Value) -> Array:
        return Array(self._address(Array(array.pointer, scalar=True), index))

    def pick(self, condition: Value, a: Array, b: Array) -> Array:
        """The first of two arrays if the condition holds."""
        return Array(self.builder.select(condition, a.pointer, b.pointer), a.scalar)

    def add_to(self, array: Array, index: Value, value: Value) -> None:
        """Add to a vector in memory."""
        self.store(self.add(self.load(array, index), value), array, index)

    def multiply_add_to(self, array: Array, index: Value, a: Value, b: Value) -> None:
        """Add a product to a vector in memory."""
        self.store(self.fma(a, b, self.load(array, index)), array, index)

    def load_complex(self, array: Array, index: Value, stride: int = 2) -> Complex:
        """Read element ``index`` of pairs (real, imaginary), ``stride`` numbers or vectors apart."""
        base = self.times(index, stride)
        return self.load(array, base), self.load(array, self.plus(base, 1))

    def store_complex(self, value: Complex, array: Array, index: Value, stride: int = 2) -> None:
        """Write element ``index`` of pairs (real, imaginary)."""
        base = self.times(index, stride)
        self.store(value[0], array, base)
        self.store(value[1], array, self.plus(base, 1))

    def integer(self, pointer: Value, index: Value) -> Value:
        """Read an index from an array of 64-bit integers."""
        return self.builder.load(
            self.builder.gep(pointer, [self.index(index)], source_etype=INDEX), typ=INDEX, align=8
        )

    def gather(self, array: Array, start: Value, first: Value, stop: Value, stride: Value) -> Value:
        """Number ``start + row * stride`` in the lane of each row from ``first`` on; 0 from ``stop`` on."""
        addresses, mask = self._addresses(array, start, first, stop, stride)
        vector = self.vector
        kinds = [addresses.type, ir.IntType(32), mask.type, vector]
        function = self._declared(f"llvm.masked.gather.{self._suffix}.v{self.lanes}p0", vector, kinds)
        align = ir.Constant(ir.IntType(32), self.precision.dtype.itemsize)
        return self.builder.call(function, [addresses, align, mask, self.zero])

    def scatter(
        self, value: Value, array: Array, start: Value, first: Value, stop: Value, stride: Value
    ) -> None:
        """Write where :meth:`gather` reads."""
        addresses, mask = self._addresses(array, start, first, stop, stride)
        kinds = [value.type, addresses.type, ir.IntType(32), mask.type]
        function = self._declared(f"llvm.masked.scatter.{self._suffix}.v{self.lanes}p0", ir.VoidType(), kinds)
        align = ir.Constant(ir.IntType(32), self.precision.dtype.itemsize)
        self.builder.call(function, [value, addresses, align, mask])

    def _addresses(
        self, array: Array, start: Value, first: Value, stop: Value, stride: Value
    ) -> tuple[Value, Value]:
        builder, indices = self.builder, ir.VectorType(INDEX, self.lanes)
        rows = builder.add(self._indices(first), ir.Constant(indices, list(range(self.lanes))))
        mask = builder.icmp_signed("<", rows, self._indices(stop))
        numbers = builder.add(builder.mul(rows, self._indices(stride)), self._indices(start))
        size = ir.Constant(indices, [self.precision.dtype.itemsize] * self.lanes)
        base = self._indices(builder.ptrtoint(array.pointer, INDEX))
        words = builder.add(base, builder.mul(numbers, size))
        return builder.inttoptr(words, ir.VectorType(ir.PointerType(), self.lanes)), mask

    def _indices(self, index: Value) -> Value:
        return self._spread(self.index(index), ir.VectorType(INDEX, self.lanes))

    def splat(self, number: Value) -> Value:
        """One number in every lane."""
        return self._spread(number, self.vector)

    def _spread(self, number: Value, kind: ir.Type) -> Value:
        vector = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(vector, number, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, vector, mask)

    # Arithmetic ---------------------------------------------------------------------------------------

    def add(self, a: Value, b: Value) -> Value:
        """Sum."""
        return self.builder.fadd(a, b)

    def sub(self, a: Value, b: Value) -> Value:
        """Difference."""
        return self.builder.fsub(a, b)

    def mul(self, a: Value, b: Value) -> Value:
        """Product."""
        return self.builder.fmul(a, b)

    def div(self, a: Value, b: Value) -> Value:
        """Quotient."""
        return self.builder.fdiv(a, b)

    def neg(self, a: Value) -> Value:
        """Negative."""
        return self.builder.fneg(a)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Product a b plus c, rounded once where the machine can."""
        return self._intrinsic("llvm.fmuladd", a, b, c)

    def reciprocal_sqrt(self, a: Value) -> Value:
        """One over the square root: in float32 the machine's estimate and a Newton step, where it has one."""
        root = self._intrinsic("llvm.sqrt", a)
        return self.builder.fdiv(self.one, root)

    def dot(self, *pairs: tuple[Value, Value]) -> Value:
        """Sum of products; negate a factor to subtract."""
        total = self.mul(*pairs[0])
        for a, b in pairs[1:]:
            total = self.fma(a, b, total)
        return total

    def multiply(self, a: Complex, b: Complex) -> Complex:
        """Complex product."""
        return (
            self.fma(a[0], b[0], self.neg(self.mul(a[1], b[1]))),
            self.fma(a[0], b[1], self.mul(a[1], b[0])),
        )

    def conj(self, a: Complex) -> Complex:
        """Complex conjugate."""
        return a[0], self.neg(a[1])

    def abs(self, a: Value) -> Value:
        """Magnitude."""
        return self._intrinsic("llvm.fabs", a)

    def minimum(self, a: Value, b: Value) -> Value:
        """The smaller one."""
        return self._intrinsic("llvm.minnum", a, b)

    def maximum(self, a: Value, b: Value) -> Value:
        """The larger one."""
        return self._intrinsic("llvm.maxnum", a, b)

    def less(self, a: Value, b: Value) -> Value:
        """Where a < b, for :meth:`select`."""
        return self.builder.fcmp_ordered("<", a, b)

    def lanes_before(self, count: Value) -> Value:
        """Where a lane's number is below an index, for :meth:`select`."""
        numbers = ir.Constant(ir.VectorType(INDEX, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self._indices(count))

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """Lane by lane, a where the condition holds, else b."""
        return self.builder.select(condition, a, b)

    def interleave(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Lanes of two vectors in turn, as two vectors."""
        n = self.lanes
        order = [lane // 2 + (n if lane % 2 else 0) for lane in range(2 * n)]
        return self._shuffle(a, b, order[:n]), self._shuffle(a, b, order[n:])

    def deinterleave(self, low: Value, high: Value) -> tuple[Value, Value]:
        """Even and odd lanes; the inverse of :meth:`interleave`."""
        n = self.lanes
        return self._shuffle(low, high, range(0, 2 * n, 2)), self._shuffle(low, high, range(1, 2 * n, 2))

    def _shuffle(self, a: Value, b: Value, order: Sequence[int]) -> Value:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), list(order))
        return self.builder.shuffle_vector(a, b, mask)

    def _intrinsic(self, name: str, *arguments: Value) -> Value:
        vector = self.vector
        function = self._declared(f"{name}.{self._suffix}", vector, [vector] * len(arguments))
        return self.builder.call(function, arguments)

    @property
    def _suffix(self) -> str:
        return f"v{self.lanes}f{8 * self.precision.dtype.itemsize}"

    def _declared(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> Value:
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    def store_sum(self, a: Value, array: Array, index: Value) -> None:
        """Write the sum over the lanes, taken by halving, as one number."""
        width = self.lanes
        while width > 1:
            width //= 2
            low, high = (
                ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(start, start + width)))
                for start in (0, width)
            )
            a = self.builder.fadd(
                self.builder.shuffle_vector(a, a, low), self.builder.shuffle_vector(a, a, high)
            )
        number = self.builder.extract_element(a, ir.Constant(ir.IntType(32), 0))
        self.builder.store(number, self._address(array, index), align=self.precision.dtype.itemsize)

    # Control ------------------------------------------------------------------------------------------

    def loop(
        self,
        start: Value,
        stop: Value,
        body: Callable[..., Sequence[Value] | None],
        carried: Sequence[Value] = (),
        unroll: int = 1,
    ) -> list[Value]:
        """Run ``body(index, *carried)``, which returns the next carried values, for start <= index < stop.

        A range of at most ``unroll`` known indices becomes straight code.
        """
        values = list(carried)
        if isinstance(start, int) and isinstance(stop, int) and stop - start <= unroll:
            for position in range(start, stop):
                values = list(body(position, *values) or ())
            return values
        builder = self.builder
        before, head = builder.block, builder.append_basic_block()
        inner, after = builder.append_basic_block(), builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(INDEX)
        index.add_incoming(self.index(start), before)
        phis = [builder.phi(value.type) for value in values]
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", index, self.index(stop)), inner, after)
        builder.position_at_end(inner)
        following = list(body(index, *phis) or ())
        index.add_incoming(builder.add(index, ir.Constant(INDEX, 1)), builder.block)
        for phi, value in zip(phis, following, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return phis

    def when(self, condition: Value, body: Callable[[], object]) -> None:
        """Run the body if an index is not 0."""
        with self.builder.if_then(self.builder.icmp_signed("!=", condition, self.index(0))):
            body()

    def unless(self, condition: Value, body: Callable[[], object]) -> None:
        """Run the body if an index is 0."""
        with self.builder.if_then(self.builder.icmp_signed("==", condition, self.index(0))):
            body()

    def choose(self, condition: Value, then: Callable[[], object], otherwise: Callable[[], object]) -> None:
        """Run the first body if an index is not 0, else the second."""
        holds = self.builder.icmp_signed("!=", self.index(condition), self.index(0))
        with self.builder.if_else(holds) as (first, second):
            with first:
                then()
            with second:
                otherwise()

    # Functions ----------------------------------------------------------------------------------------

    def cos_sin(self, x: Value) -> Complex:
        """Cosine and sine, to rounding error; NaN where x is not finite."""
        near = self._near_cos_sin(x)
        far, some = self.beyond(x, _NEAR)
        before = self.builder.block
        with self.builder.if_then(some, likely=False):
            both = self.builder.call(self._far_cos_sin(), [x])
            values = [self.builder.extract_value(both, part) for part in range(2)]
            # Lane by lane: what a lane gets must not depend on its neighbours.
            chosen = [self.select(far, value, other) for value, other in zip(values, near, strict=True)]
            inside = self.builder.block
        merged = [self.builder.phi(self.vector) for _ in near]
        for phi, value, other in zip(merged, near, chosen, strict=True):
            phi.add_incoming(value, before)
            phi.add_incoming(other, inside)
        return merged[0], merged[1]

    def beyond(self, x: Value, bound: float) -> tuple[Value, Value]:
        """Where a magnitude is not within a bound, for :meth:`select`, and whether it is so in any lane."""
        where = self.builder.fcmp_unordered(">", self.abs(x), self.constant(bound))
        bits = ir.IntType(self.lanes)
        return where, self.builder.icmp_unsigned(
            "!=", self.builder.bitcast(where, bits), ir.Constant(bits, 0)
        )

    def _far_cos_sin(self) -> Value:
        """A function of its own for what hardly ever happens: that of the C library, lane by lane."""
        known = self.module.globals.get("far_cos_sin")
        if known:
            return known
        vector = self.vector
        pair = ir.LiteralStructType([vector, vector])
        function = ir.Function(self.module, ir.FunctionType(pair, [vector]), "far_cos_sin")
        function.linkage = "internal"
        function.attributes.add("noinline")
        code = Emitter(function, self.precision)
        result: Value = ir.Constant(pair, ir.Undefined)
        for part, name in enumerate(("llvm.cos", "llvm.sin")):
            result = code.builder.insert_value(result, code._intrinsic(name, function.args[0]), part)
        code.builder.ret(result)
        return function

    def _near_cos_sin(self, x: Value) -> Complex:
        """Cosine and sine, to rounding error up to ``_NEAR``.

        The argument is brought into [-π/4, π/4] by subtracting a multiple of π/2, kept in three parts
        (Cody and Waite 1980), and Taylor's series ends below half a unit in the last place.
        """
        builder, single = self.builder, self.precision.name == "float32"
        turns = self._intrinsic("llvm.rint", self.mul(x, self.constant(2 / pi)))
        for part in _half_pi_parts(self.precision.dtype):
            x = self.fma(turns, self.constant(-part), x)
        square = self.mul(x, x)
        odd = self._series([(-1) ** k / factorial(2 * k + 1) for k in range(1, 5 if single else 9)], square)
        even = self._series([(-1) ** k / factorial(2 * k) for k in range(1, 5 if single else 9)], square)
        sin = self.fma(self.mul(odd, square), x, x)
        cos = self.fma(even, square, self.one)
        integer = ir.VectorType(ir.IntType(32 if single else 64), self.lanes)

        def number(value: int) -> Value:
            return ir.Constant(integer, [value] * self.lanes)

        quadrant = builder.fptosi(turns, integer)
        swapped = builder.icmp_signed("!=", builder.and_(quadrant, number(1)), number(0))
        top = integer.element.width - 2
        flips = (
            builder.and_(
                builder.shl(builder.add(quadrant, number(1)), number(top)), number(-(1 << (top + 1)))
            ),
            builder.and_(builder.shl(quadrant, number(top)), number(-(1 << (top + 1)))),
        )
        chosen = self.select(swapped, sin, cos), self.select(swapped, cos, sin)
        cosine, sine = (
            builder.bitcast(builder.xor(builder.bitcast(value, integer), flip), self.vector)
            for value, flip in zip(chosen, flips, strict=True)
        )
        return cosine, sine

    def exp2(self, x: Value) -> Value:
        """Two to the power of x, but no less than the smallest normal number."""
        builder, integer = self.builder, self._integer
        x = self.maximum(x, self.constant(-(2.0 ** (self._exponent_bits - 1)) + 2))
        whole = self._intrinsic("llvm.rint", x)
        # |x - whole| <= 1/2, so Taylor's series of exp ends below half a unit in the last place.
        terms = 8 if self.precision.name == "float32" else 15
        power = self._series([log(2) ** k / factorial(k) for k in range(terms)], self.sub(x, whole))
        shifted = builder.shl(builder.fptosi(whole, integer), self._integers(self._fraction_bits))
        return builder.bitcast(builder.add(builder.bitcast(power, integer), shifted), self.vector)

    def log2(self, x: Value) -> Value:
        """Binary logarithm of a positive normal number."""
        builder, integer, shift = self.builder, self._integer, self._integers(self._fraction_bits)
        # Less the bits of √½, the exponent's bits count from it, and the rest lies between √½ and √2.
        root = int(np.array([sqrt(0.5)], self.precision.dtype).view(f"i{self.precision.dtype.itemsize}")[0])
        above = builder.sub(builder.bitcast(x, integer), self._integers(root))
        exponent = builder.ashr(above, shift)
        rest = builder.sub(builder.bitcast(x, integer), builder.shl(exponent, shift))
        m = builder.bitcast(rest, self.vector)
        z = self.div(self.sub(m, self.one), self.add(m, self.one))
        terms = 5 if self.precision.name == "float32" else 11
        series = self._series([2 / log(2) / (2 * k + 1) for k in range(terms)], self.mul(z, z))
        return self.fma(z, series, builder.sitofp(exponent, self.vector))

    @property
    def _integer(self) -> ir.Type:
        return ir.VectorType(ir.IntType(8 * self.precision.dtype.itemsize), self.lanes)

    def _integers(self, value: int) -> Value:
        return ir.Constant(self._integer, [value] * self.lanes)

    @property
    def _fraction_bits(self) -> int:
        return int(np.finfo(self.precision.dtype).nmant)

    @property
    def _exponent_bits(self) -> int:
        return int(np.finfo(self.precision.dtype).iexp)

    def _series(self, coefficients: Sequence[float], x: Value) -> Value:
        total = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, self.constant(coefficient))
        return total


def _half_pi_parts(dtype: np.dtype) -> list[float]:
    # π/2 to 160 bits: the sum of three doubles.
    exact = [1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33]
    if dtype == np.float64:
        return exact
    parts, rest = [], exact[0]
    for _ in range(3):
        parts.append(float(np.float32(rest)))
        rest -= parts[-1]
    return parts
