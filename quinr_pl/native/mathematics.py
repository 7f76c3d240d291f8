"""Functions of vectors, written in the typed operations that every target has.

Each is a rounding error away from the exact value, and what a lane gets does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, log, pi
from math import sqrt as root_of

import numpy as np

from quinr_pl.native.precision import Precision
from quinr_pl.native.values import Bits, Complex, Vector, fma, maximum, minimum, rint, sqrt, where

_NEAR = 2.0**13
"""Radians up to which a sine is computed here: there are as many bits to spare in parts of π/2."""
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
"""π/2 to 160 bits: the sum of three doubles."""


def cos_sin(x: Vector) -> Complex:
    """Cosine and sine, to rounding error; NaN where x is not finite."""
    emitter = x.emitter
    near = _near_cos_sin(x)
    far = abs(x).exceeds(_NEAR)

    def also_far() -> list[object]:
        found = [Vector(emitter, raw) for raw in emitter.cos_sin_by_library(x.raw)]
        # Lane by lane: what a lane gets must not depend on its neighbours.
        return [where(far, value, other).raw for value, other in zip(found, near, strict=True)]

    cos, sin = emitter.rarely(far.any().raw, [part.raw for part in near], also_far)
    return Complex(Vector(emitter, cos), Vector(emitter, sin))


def _near_cos_sin(x: Vector) -> Complex:
    """Cosine and sine, to rounding error up to ``_NEAR``.

    The argument is brought into [-π/4, π/4] by subtracting a multiple of π/2, kept in three parts
    (Cody and Waite 1980), and Taylor's series ends below half a unit in the last place.
    """
    turns = rint(x * (2 / pi))
    for part in _half_pi_parts(x.emitter.precision):
        x = fma(turns, -part, x)
    cos, sin = small_cos_sin(x)
    quadrant = turns.as_integers()
    swapped = (quadrant & 1).is_not_zero()
    flips = _sign_of_second_bit(quadrant + 1), _sign_of_second_bit(quadrant)
    chosen = where(swapped, sin, cos), where(swapped, cos, sin)
    cosine, sine = ((value.as_bits() ^ flip).as_vector() for value, flip in zip(chosen, flips, strict=True))
    return Complex(cosine, sine)


def small_cos_sin(x: Vector) -> Complex:
    """What :func:`cos_sin` gives up to π/4, bit for bit, in less than half the operations."""
    terms = range(1, 5 if x.emitter.precision.name == "float32" else 9)
    square = x * x
    odd = polynomial([(-1) ** k / factorial(2 * k + 1) for k in terms], square)
    even = polynomial([(-1) ** k / factorial(2 * k) for k in terms], square)
    return Complex(fma(even, square, 1.0), fma(odd * square, x, x))


def _sign_of_second_bit(integers: Bits) -> Bits:
    """The sign bit, where the second bit of an integer is 1."""
    sign = integers.emitter.precision.bits - 1
    return (integers << (sign - 1)) & -(1 << sign)


def _half_pi_parts(precision: Precision) -> Sequence[float]:
    """π/2 as the sum of three numbers of a precision."""
    if precision.name == "float64":
        return _HALF_PI
    parts, rest = [], _HALF_PI[0]
    for _ in range(3):
        parts.append(float(np.float32(rest)))
        rest -= parts[-1]
    return parts


def exp2(x: Vector) -> Vector:
    """Two to the power of x, but no less than the smallest normal number."""
    precision = x.emitter.precision
    x = maximum(x, 2 - 2.0 ** (precision.exponent_bits - 1))
    whole = rint(x)
    # |x - whole| <= 1/2, so Taylor's series of exp ends below half a unit in the last place.
    terms = range(8 if precision.name == "float32" else 15)
    power = polynomial([log(2) ** k / factorial(k) for k in terms], x - whole)
    shifted = whole.as_integers() << precision.fraction_bits
    return (power.as_bits() + shifted).as_vector()


def log2(x: Vector) -> Vector:
    """Binary logarithm of a positive normal number."""
    precision = x.emitter.precision
    # Less the bits of √½, the exponent's bits count from it, and the rest lies between √½ and √2.
    root = np.array([root_of(0.5)], precision.dtype).view(f"i{precision.dtype.itemsize}")
    exponent = (x.as_bits() - int(root[0])) >> precision.fraction_bits
    m = (x.as_bits() - (exponent << precision.fraction_bits)).as_vector()
    z = (m - 1.0) / (m + 1.0)
    terms = range(5 if precision.name == "float32" else 11)
    series = polynomial([2 / log(2) / (2 * k + 1) for k in terms], z * z)
    return fma(z, series, exponent.as_numbers())


def floor(x: Vector) -> Vector:
    """The greatest integer that is no greater, as a number."""
    nearest = rint(x)
    return where(nearest > x, nearest - 1.0, nearest)


def tanh(x: Vector) -> Vector:
    """Hyperbolic tangent, to rounding error of one."""
    # Beyond 20 it is one in float64 too, and within it no power overflows.
    power = exp2(minimum(maximum(x, -20.0), 20.0) * (2 / log(2)))
    return 1.0 - 2.0 / (power + 1.0)


def reciprocal_sqrt(a: Vector) -> Vector:
    """One over the square root."""
    return 1.0 / sqrt(a)


def polynomial(coefficients: Sequence[float], x: Vector) -> Vector:
    """Sum of coefficients times powers of x, from the constant on, by Horner's rule; at least two."""
    *lower, second, first = coefficients
    total = fma(first, x, second)
    for coefficient in reversed(lower):
        total = fma(total, x, coefficient)
    return total
