"""The circuit as Triton kernels: a block of coordinates and its 2**qubits amplitudes stay in registers.

A tensor of amplitudes is (2**qubits, block) with the coordinates along the lanes of a warp, so that qubits
lie in the registers of one thread, where a gate moves no data at all; of more than four qubits a few lie
across the lanes. What a kernel runs is a :class:`quinr_pl.circuit.lowering.plan.Plan`: layers of one SU(2)
matrix for each qubit, made on the spot, and diagonals between them. Arrays have the coordinates last,
(..., batch).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward(
    angles,
    weights,
    columns,
    pairs,
    phases,
    state,
    batch,
    angle_count,
    width,
    layers,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Final amplitudes: real parts, then imaginary parts, (2, 2**qubits, batch)."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK).to(tl.int64)
    j = tl.arange(0, 1 << QUBITS)
    zero = tl.zeros([1 << QUBITS, BLOCK], dtype=angles.dtype.element_ty)
    x, y = tl.where((j == 0)[:, None], zero + 1, zero), zero
    for layer in range(layers):
        x, y = _phase(x, y, phases, layer, j, 1, QUBITS)
        for wire in tl.static_range(QUBITS):
            chain = columns + (layer * QUBITS + wire) * width
            count = tl.load(pairs + layer)
            ar, ai, br, bi = _matrix(angles, weights, chain, count, angle_count, row, batch, BLOCK)
            x, y = _turn(x, y, ar, ai, br, bi, wire, QUBITS, BLOCK)
    at = j.to(tl.int64)[:, None] * batch + row[None, :]
    inside = (row < batch)[None, :]
    tl.store(state + at, x, mask=inside)
    tl.store(state + (batch << QUBITS) + at, y, mask=inside)


@triton.jit
def backward(
    angles,
    weights,
    columns,
    pairs,
    phases,
    state,
    cotangent,
    angles_gradient,
    weights_gradient,
    phases_gradient,
    batch,
    angle_count,
    weight_count,
    width,
    layers,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients by un-computing state and cotangent, which start as ``state`` and ``cotangent * state``.

    A program takes every ``num_programs``-th block and has its own rows of ``weights_gradient`` (programs,
    weights) and ``phases_gradient`` (programs, layers, 2**qubits), so that no sum depends on who comes first.
    All gradients arrive as zeros.
    """
    program = tl.program_id(0)
    j = tl.arange(0, 1 << QUBITS)
    weights_gradient += program.to(tl.int64) * weight_count
    phases_gradient += program.to(tl.int64) * (layers << QUBITS)
    for block in range(program, tl.cdiv(batch, BLOCK), tl.num_programs(0)):
        row = block * BLOCK + tl.arange(0, BLOCK).to(tl.int64)
        at = j.to(tl.int64)[:, None] * batch + row[None, :]
        inside = (row < batch)[None, :]
        x = tl.load(state + at, mask=inside, other=0.0)
        y = tl.load(state + (batch << QUBITS) + at, mask=inside, other=0.0)
        slope = tl.load(cotangent + at, mask=inside, other=0.0)
        p, q = slope * x, slope * y
        for step in range(layers):
            layer = layers - 1 - step
            count = tl.load(pairs + layer)
            for wire in tl.static_range(QUBITS):
                chain = columns + (layer * QUBITS + wire) * width
                bx, by, bz = _bloch(x, y, p, q, wire, QUBITS, BLOCK)
                _unwind(
                    angles,
                    weights,
                    chain,
                    count,
                    angle_count,
                    row,
                    batch,
                    bx,
                    by,
                    bz,
                    angles_gradient,
                    weights_gradient,
                    BLOCK,
                )
                ar, ai, br, bi = _matrix(angles, weights, chain, count, angle_count, row, batch, BLOCK)
                x, y = _turn(x, y, ar, -ai, -br, -bi, wire, QUBITS, BLOCK)
                p, q = _turn(p, q, ar, -ai, -br, -bi, wire, QUBITS, BLOCK)
            turned = phases_gradient + (layer << QUBITS) + j
            tl.store(turned, tl.load(turned) - 2 * tl.sum(p * y - q * x, axis=1))
            x, y = _phase(x, y, phases, layer, j, -1, QUBITS)
            p, q = _phase(p, q, phases, layer, j, -1, QUBITS)
            # The next layer and the next block add to what these wrote.
            tl.debug_barrier()


@triton.jit
def _phase(x, y, phases, layer, j, sign: tl.constexpr, QUBITS: tl.constexpr):
    """Amplitudes times the phases of a layer's diagonal, or their conjugates."""
    cos = tl.load(phases + ((2 * layer) << QUBITS) + j)[:, None]
    sin = sign * tl.load(phases + ((2 * layer + 1) << QUBITS) + j)[:, None]
    return x * cos - y * sin, x * sin + y * cos


@triton.jit
def _theta(angles, weights, column, angle_count, row, batch, BLOCK: tl.constexpr):
    """Angle of a rotation for each coordinate; of a column past the angles, the same for all."""
    if column < angle_count:
        theta = tl.load(angles + column * batch + row, mask=row < batch, other=0.0)
    else:
        theta = tl.load(weights + (column - angle_count)) + tl.zeros([BLOCK], dtype=angles.dtype.element_ty)
    return theta


@triton.jit
def _matrix(angles, weights, chain, count, angle_count, row, batch, BLOCK: tl.constexpr):
    """First column (a, b) of the product of a chain of RZ and RX in turn: the matrix ((a, -b*), (b, a*))."""
    zero = tl.zeros([BLOCK], dtype=angles.dtype.element_ty)
    ar, ai, br, bi = zero + 1, zero, zero, zero
    for position in range(count):
        half = 0.5 * _theta(angles, weights, tl.load(chain + 2 * position), angle_count, row, batch, BLOCK)
        c, s = tl.cos(half), tl.sin(half)
        ar, ai = c * ar + s * ai, c * ai - s * ar
        br, bi = c * br - s * bi, c * bi + s * br
        half = 0.5 * _theta(
            angles, weights, tl.load(chain + 2 * position + 1), angle_count, row, batch, BLOCK
        )
        c, s = tl.cos(half), tl.sin(half)
        ar, ai, br, bi = c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar
    return ar, ai, br, bi


@triton.jit
def _halves(x, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Amplitudes with a wire at 0 and at 1: (2**wire, 2**(qubits - 1 - wire), block) each."""
    apart = tl.reshape(x, [1 << wire, 2, 1 << (QUBITS - 1 - wire), BLOCK])
    return tl.split(tl.permute(apart, [0, 2, 3, 1]))


@triton.jit
def _whole(zeros, ones, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """The inverse of ``_halves``."""
    return tl.reshape(tl.permute(tl.join(zeros, ones), [0, 3, 1, 2]), [1 << QUBITS, BLOCK])


@triton.jit
def _turn(x, y, ar, ai, br, bi, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Multiply a wire by ((a, -b*), (b, a*))."""
    x0, x1 = _halves(x, wire, QUBITS, BLOCK)
    y0, y1 = _halves(y, wire, QUBITS, BLOCK)
    ar, ai, br, bi = ar[None, None, :], ai[None, None, :], br[None, None, :], bi[None, None, :]
    x = _whole(ar * x0 - ai * y0 - br * x1 - bi * y1, br * x0 - bi * y0 + ar * x1 + ai * y1, QUBITS, BLOCK)
    y = _whole(ar * y0 + ai * x0 - br * y1 + bi * x1, br * y0 + bi * x0 + ar * y1 - ai * x1, QUBITS, BLOCK)
    return x, y


@triton.jit
def _bloch(x, y, p, q, wire: tl.constexpr, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Im⟨λ|σ|ψ⟩ for each coordinate, σ being X, Y and Z of a wire; ψ = x + iy, λ = p + iq."""
    x0, x1 = _halves(x, wire, QUBITS, BLOCK)
    y0, y1 = _halves(y, wire, QUBITS, BLOCK)
    p0, p1 = _halves(p, wire, QUBITS, BLOCK)
    q0, q1 = _halves(q, wire, QUBITS, BLOCK)
    of_x = p0 * y1 - q0 * x1 + p1 * y0 - q1 * x0
    of_y = p1 * x0 + q1 * y0 - p0 * x1 - q0 * y1
    of_z = p0 * y0 - q0 * x0 - p1 * y1 + q1 * x1
    return _total(of_x), _total(of_y), _total(of_z)


@triton.jit
def _total(x):
    return tl.sum(tl.sum(x, axis=0), axis=0)


@triton.jit
def _unwind(
    angles,
    weights,
    chain,
    count,
    angle_count,
    row,
    batch,
    x,
    y,
    z,
    angles_gradient,
    weights_gradient,
    BLOCK: tl.constexpr,
):
    """Add the gradients of a chain, whose overlaps with X, Y and Z at its end are given."""
    for step in range(count):
        position = 2 * (count - 1 - step)
        column = tl.load(chain + position + 1)
        theta = _theta(angles, weights, column, angle_count, row, batch, BLOCK)
        _add(x, column, angle_count, row, batch, angles_gradient, weights_gradient)
        c, s = tl.cos(theta), tl.sin(theta)
        y, z = c * y + s * z, c * z - s * y
        column = tl.load(chain + position)
        theta = _theta(angles, weights, column, angle_count, row, batch, BLOCK)
        _add(z, column, angle_count, row, batch, angles_gradient, weights_gradient)
        c, s = tl.cos(theta), tl.sin(theta)
        x, y = c * x + s * y, c * y - s * x


@triton.jit
def _add(gradient, column, angle_count, row, batch, angles_gradient, weights_gradient):
    """Add the gradient of a rotation to that of its column."""
    if column < angle_count:
        rows = angles_gradient + column * batch + row
        tl.store(rows, tl.load(rows, mask=row < batch, other=0.0) + gradient, mask=row < batch)
    else:
        shared = weights_gradient + (column - angle_count)
        tl.store(shared, tl.load(shared) + tl.sum(gradient, axis=0))
