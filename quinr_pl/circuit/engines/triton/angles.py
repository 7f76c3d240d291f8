"""The angles of a block of coordinates: waves and matrices on the way there, overlaps and slopes back.

A wave is the cosine and the sine of half an angle. Waves lie as (features, 2, block), and slopes, which are
gradients of the angles, as (features, block).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def make_waves(angles, waves, inside, features, column_stride, BLOCK: tl.constexpr):
    """Cosine and sine of half of each angle: all there are in a step, whatever uploads read them."""
    for _ in range(features):
        half = 0.5 * tl.load(angles, mask=inside, other=0.0)
        tl.store(waves, tl.cos(half))
        tl.store(waves + BLOCK, tl.sin(half))
        angles += column_stride
        waves += 2 * BLOCK
    tl.debug_barrier()


@triton.jit
def _wave(waves, column, features, BLOCK: tl.constexpr):
    """Cosine and sine of half of an angle; of a column past the angles, those of 0."""
    at, exists = waves + 2 * column * BLOCK, column < features
    return tl.load(at, mask=exists, other=1.0), tl.load(at + BLOCK, mask=exists, other=0.0)


@triton.jit
def matrix(
    of_qubit,
    chain,
    count,
    waves,
    features,
    FIRST_RX: tl.constexpr,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """First column (a, b) of a qubit's matrix in an embedding, ((a, -b*), (b, a*)), for each coordinate."""
    zero = tl.zeros([BLOCK], dtype=waves.dtype.element_ty)
    ar, ai = tl.load(of_qubit) + zero, tl.load(of_qubit + QUBITS) + zero
    br, bi = tl.load(of_qubit + 2 * QUBITS) + zero, tl.load(of_qubit + 3 * QUBITS) + zero
    for fold in range(0, count, 2):
        c, s = _wave(waves, tl.load(chain + fold * QUBITS), features, BLOCK)
        ar, ai, br, bi = _then(ar, ai, br, bi, c, s, FIRST_RX)
        if fold + 1 < count:
            c, s = _wave(waves, tl.load(chain + (fold + 1) * QUBITS), features, BLOCK)
            ar, ai, br, bi = _then(ar, ai, br, bi, c, s, not FIRST_RX)
    cr, ci = tl.load(of_qubit + 4 * QUBITS), tl.load(of_qubit + 5 * QUBITS)
    dr, di = tl.load(of_qubit + 6 * QUBITS), tl.load(of_qubit + 7 * QUBITS)
    return (
        cr * ar - ci * ai - dr * br - di * bi,
        cr * ai + ci * ar - dr * bi + di * br,
        dr * ar - di * ai + cr * br + ci * bi,
        dr * ai + di * ar + cr * bi - ci * br,
    )


@triton.jit
def _then(ar, ai, br, bi, c, s, IS_RX: tl.constexpr):
    """The first column after one more RX, or RZ, of which the cosine and sine of half the angle are given."""
    if IS_RX:
        ar, ai, br, bi = c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar
    else:
        ar, ai, br, bi = c * ar + s * ai, c * ai - s * ar, c * br - s * bi, c * bi + s * br
    return ar, ai, br, bi


@triton.jit
def overlaps_before(of_qubit, x, y, z, QUBITS: tl.constexpr):
    """Overlaps with X, Y and Z from behind a qubit's trained gates after its angles to before them."""
    r = of_qubit + 8 * QUBITS
    to_x = tl.load(r) * x + tl.load(r + QUBITS) * y + tl.load(r + 2 * QUBITS) * z
    to_y = tl.load(r + 3 * QUBITS) * x + tl.load(r + 4 * QUBITS) * y + tl.load(r + 5 * QUBITS) * z
    to_z = tl.load(r + 6 * QUBITS) * x + tl.load(r + 7 * QUBITS) * y + tl.load(r + 8 * QUBITS) * z
    return to_x, to_y, to_z


@triton.jit
def unwind(
    chain,
    count,
    waves,
    features,
    x,
    y,
    z,
    slopes,
    FIRST_RX: tl.constexpr,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Overlaps from behind a qubit's angles to before them; adds the gradients of the angles to slopes."""
    if count % 2 == 1:
        x, y, z = _undo(chain + (count - 1) * QUBITS, waves, features, x, y, z, slopes, FIRST_RX, BLOCK)
    for step in range(0, count // 2):
        of_pair = chain + (count // 2 - 1 - step) * 2 * QUBITS
        x, y, z = _undo(of_pair + QUBITS, waves, features, x, y, z, slopes, not FIRST_RX, BLOCK)
        x, y, z = _undo(of_pair, waves, features, x, y, z, slopes, FIRST_RX, BLOCK)
    return x, y, z


@triton.jit
def _undo(chain, waves, features, x, y, z, slopes, IS_RX: tl.constexpr, BLOCK: tl.constexpr):
    """One angle of them."""
    column = tl.load(chain)
    half, other = _wave(waves, column, features, BLOCK)
    c, s = half * half - other * other, 2 * half * other
    slope, exists = slopes + column * BLOCK, column < features
    before = tl.load(slope, mask=exists, other=0.0)
    if IS_RX:
        tl.store(slope, before + x, mask=exists)
        y, z = c * y + s * z, c * z - s * y
    else:
        tl.store(slope, before + z, mask=exists)
        x, y = c * x + s * y, c * y - s * x
    return x, y, z


@triton.jit
def clear_slopes(slopes, features, BLOCK: tl.constexpr):
    """Begin with zeros."""
    for column in range(features):
        tl.store(slopes + column * BLOCK, tl.zeros([BLOCK], dtype=slopes.dtype.element_ty))
    tl.debug_barrier()


@triton.jit
def write_slopes(slopes, gradient, inside, features, BLOCK: tl.constexpr):
    """Hand slopes out as rows of the gradients of all angles."""
    for column in range(features):
        tl.store(gradient + column, tl.load(slopes + column * BLOCK), mask=inside)
    tl.debug_barrier()
