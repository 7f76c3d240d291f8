"""Gates on a block of states in registers, and what a state and a cotangent have in common.

Amplitudes are real and imaginary parts, (2**qubits, block) each: ψ = x + iy, and a cotangent λ = p + iq.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def halves(x, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Amplitudes with a wire at 0 and at 1: (2**wire, 2**(qubits - 1 - wire), block) each."""
    apart = tl.reshape(x, [1 << wire, 2, 1 << (QUBITS - 1 - wire), BLOCK])
    return tl.split(tl.permute(apart, [0, 2, 3, 1]))


@triton.jit
def whole(zeros, ones, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """The inverse of ``halves``."""
    return tl.reshape(tl.permute(tl.join(zeros, ones), [0, 3, 1, 2]), [1 << QUBITS, BLOCK])


@triton.jit
def add_qubit(x, y, ar, ai, br, bi, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """The state of ``QUBITS`` qubits and one more, in state (a, b)."""
    ar, ai, br, bi = ar[None, :], ai[None, :], br[None, :], bi[None, :]
    real = tl.permute(tl.join(ar * x - ai * y, br * x - bi * y), [0, 2, 1])
    imaginary = tl.permute(tl.join(ar * y + ai * x, br * y + bi * x), [0, 2, 1])
    return tl.reshape(real, [2 << QUBITS, BLOCK]), tl.reshape(imaginary, [2 << QUBITS, BLOCK])


@triton.jit
def turn(x, y, ar, ai, br, bi, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Multiply a wire by ((a, -b*), (b, a*)), a matrix for each coordinate."""
    x0, x1 = halves(x, wire, QUBITS, BLOCK)
    y0, y1 = halves(y, wire, QUBITS, BLOCK)
    ar, ai, br, bi = ar[None, None, :], ai[None, None, :], br[None, None, :], bi[None, None, :]
    x = whole(ar * x0 - ai * y0 - br * x1 - bi * y1, br * x0 - bi * y0 + ar * x1 + ai * y1, QUBITS, BLOCK)
    y = whole(ar * y0 + ai * x0 - br * y1 + bi * x1, br * y0 + bi * x0 + ar * y1 - ai * x1, QUBITS, BLOCK)
    return x, y


@triton.jit
def rotate(x, y, tangent, sine, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """RX of a wire by 2φ, from tan(φ/2) and sin φ of all coordinates: three shears of a pair of numbers."""
    x0, x1 = halves(x, wire, QUBITS, BLOCK)
    y0, y1 = halves(y, wire, QUBITS, BLOCK)
    x0, x1 = x0 + tangent * y1, x1 + tangent * y0
    y1, y0 = y1 - sine * x0, y0 - sine * x1
    x0, x1 = x0 + tangent * y1, x1 + tangent * y0
    return whole(x0, x1, QUBITS, BLOCK), whole(y0, y1, QUBITS, BLOCK)


@triton.jit
def phase(x, y, cos, sin):
    """Amplitudes times phases, which all coordinates share: (2**qubits,)."""
    cos, sin = cos[:, None], sin[:, None]
    return x * cos - y * sin, x * sin + y * cos


@triton.jit
def overlaps_xy(x, y, p, q, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Im⟨λ|X|ψ⟩ and Im⟨λ|Y|ψ⟩ of a wire, for each coordinate."""
    x0, x1 = halves(x, wire, QUBITS, BLOCK)
    y0, y1 = halves(y, wire, QUBITS, BLOCK)
    p0, p1 = halves(p, wire, QUBITS, BLOCK)
    q0, q1 = halves(q, wire, QUBITS, BLOCK)
    of_x = p0 * y1 - q0 * x1 + p1 * y0 - q1 * x0
    of_y = p1 * x0 + q1 * y0 - p0 * x1 - q0 * y1
    return _total(of_x), _total(of_y)


@triton.jit
def overlap_z(x, y, p, q, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Im⟨λ|Z|ψ⟩ of a wire, for each coordinate."""
    zeros, ones = halves(p * y - q * x, wire, QUBITS, BLOCK)
    return _total(zeros - ones)


@triton.jit
def _total(x):
    return tl.sum(tl.sum(x, axis=0), axis=0)
