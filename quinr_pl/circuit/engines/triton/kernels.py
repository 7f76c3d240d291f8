"""The circuit as Triton kernels: a block of coordinates and its 2**qubits amplitudes stay in registers.

A tensor of amplitudes is (2**qubits, block) with the coordinates along the lanes of a warp, so that qubits
lie in the registers of one thread, where a gate moves no data at all; of more than four qubits a few lie
across the lanes. What a kernel runs is a :class:`quinr_pl.circuit.lowering.plan.Plan`, whose trained gates
:mod:`quinr_pl.circuit.engines.triton.trained` has made coefficients of. What a kernel keeps for a coordinate
has the coordinates last, (..., batch) or (..., block); what others give and take lies as they have it.
"""

from __future__ import annotations

import triton
import triton.language as tl

from quinr_pl.circuit.engines.triton.gates import (
    add_qubit,
    overlap_z,
    overlaps_xy,
    phase,
    rotate,
    turn,
)

# Numbers that Triton takes for constants where they are 1 or multiples of 16 would change how memory is read,
# and with that which lane holds what.
SIZES = (
    *("batch", "features", "measured", "layers", "width", "deepest", "of_layer"),
    *("row_stride", "column_stride", "slope_stride", "state_stride"),
)
"""Arguments of the kernels that are never compiled for a value."""


@triton.jit(do_not_specialize=SIZES)
def forward(
    angles,
    coefficients,
    folds,
    columns,
    position,
    waves,
    state,
    probabilities,
    batch,
    features,
    measured,
    layers,
    width,
    deepest,
    row_stride,
    column_stride,
    KEEP: tl.constexpr,
    FIRST_RX: tl.constexpr,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Probabilities, (batch, measured); with ``KEEP`` the final amplitudes, too, (2, 2**qubits, batch).

    Cosines and sines of half of each angle are left in ``waves``, (blocks, features, 2, block).
    """
    lane = tl.arange(0, BLOCK)
    row = tl.program_id(0) * BLOCK + lane.to(tl.int64)
    inside = row < batch
    waves += (row - lane) * features * 2 + lane
    _make_waves(angles + row * row_stride, waves, inside, features, column_stride, BLOCK)
    j = tl.arange(0, 1 << QUBITS)
    x, y = _begin(coefficients, folds, columns, waves, features, j, FIRST_RX, QUBITS, BLOCK)
    for layer in range(1, layers):
        own = coefficients + layer * width
        x, y = phase(x, y, tl.load(own + j), tl.load(own + (1 << QUBITS) + j))
        of_qubits, count = own + (2 << QUBITS), tl.load(folds + layer)
        if count < 0:
            for wire in tl.static_range(QUBITS):
                tangent, sine = _rx_of(of_qubits + wire, QUBITS)
                x, y = rotate(x, y, tangent, sine, wire, QUBITS, BLOCK)
        else:
            chains = columns + layer * deepest * QUBITS
            for wire in tl.static_range(QUBITS):
                ar, ai, br, bi = _matrix(
                    of_qubits + wire, chains + wire, count, waves, features, FIRST_RX, QUBITS, BLOCK
                )
                x, y = turn(x, y, ar, ai, br, bi, wire, QUBITS, BLOCK)
    at = tl.load(position + j)
    to = probabilities + row[None, :] * measured + at[:, None]
    tl.store(to, x * x + y * y, mask=(at >= 0)[:, None] & inside[None, :])
    if KEEP:
        to = state + j.to(tl.int64)[:, None] * batch + row[None, :]
        tl.store(to, x, mask=inside[None, :])
        tl.store(to + (batch.to(tl.int64) << QUBITS), y, mask=inside[None, :])


@triton.jit(do_not_specialize=SIZES)
def backward(
    coefficients,
    folds,
    columns,
    position,
    waves,
    state,
    cotangent,
    slopes,
    sums,
    angles_gradient,
    batch,
    features,
    layers,
    width,
    deepest,
    slope_stride,
    state_stride,
    FIRST_RX: tl.constexpr,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients in the angles, (batch, features), and sums over coordinates for those in the weights.

    Un-computes state and cotangent, which start as ``state`` and ``cotangent * state``. A program takes every
    ``num_programs``-th block. It has its own ``slopes``, (programs, features, block), and its own row of
    ``sums``, (programs, layers, 2**qubits + 5 * qubits), so that no sum depends on who comes first: of each
    layer the overlaps of its start with basis states, then kinds of overlaps of each qubit, with X and Y
    behind the layer and, in an embedding, with X, Y and Z before the angles.
    """
    program = tl.program_id(0)
    j, lane = tl.arange(0, 1 << QUBITS), tl.arange(0, BLOCK)
    slopes += program.to(tl.int64) * features * BLOCK + lane
    sums += program.to(tl.int64) * layers * ((1 << QUBITS) + 5 * QUBITS)
    for block in range(program, tl.cdiv(batch, BLOCK), tl.num_programs(0)):
        again = block != program
        row = block * BLOCK + lane.to(tl.int64)
        inside = row < batch
        own_waves = waves + (row - lane) * features * 2 + lane
        _clear(slopes, features, BLOCK)
        x, y, p, q = _read_state(
            state, cotangent, position, row, inside, batch, slope_stride, state_stride, QUBITS
        )
        for step in range(layers - 1):
            layer = layers - 1 - step
            own, to = coefficients + layer * width, sums + layer * ((1 << QUBITS) + 5 * QUBITS)
            of_qubits, count = own + (2 << QUBITS), tl.load(folds + layer)
            if count < 0:
                x, y, p, q = _undo_trained(of_qubits, x, y, p, q, to + (1 << QUBITS), again, QUBITS, BLOCK)
            else:
                chains = columns + layer * deepest * QUBITS
                _measure(
                    of_qubits,
                    chains,
                    count,
                    own_waves,
                    features,
                    x,
                    y,
                    p,
                    q,
                    slopes,
                    to + (1 << QUBITS),
                    again,
                    FIRST_RX,
                    QUBITS,
                    BLOCK,
                )
                for wire in tl.static_range(QUBITS):
                    ar, ai, br, bi = _matrix(
                        of_qubits + wire, chains + wire, count, own_waves, features, FIRST_RX, QUBITS, BLOCK
                    )
                    x, y = turn(x, y, ar, -ai, -br, -bi, wire, QUBITS, BLOCK)
                    p, q = turn(p, q, ar, -ai, -br, -bi, wire, QUBITS, BLOCK)
            before = tl.load(to + j, mask=again, other=0.0)
            tl.store(to + j, before + tl.sum(p * y - q * x, axis=1))
            cos, sin = tl.load(own + j), -tl.load(own + (1 << QUBITS) + j)
            x, y = phase(x, y, cos, sin)
            p, q = phase(p, q, cos, sin)
            # The next layer and the next block add to what these wrote.
            tl.debug_barrier()
        # Nobody asks for what lies before the first layer.
        _measure(
            coefficients + (2 << QUBITS),
            columns,
            tl.load(folds),
            own_waves,
            features,
            x,
            y,
            p,
            q,
            slopes,
            sums + (1 << QUBITS),
            again,
            FIRST_RX,
            QUBITS,
            BLOCK,
        )
        tl.debug_barrier()
        _write_slopes(slopes, angles_gradient + row * features, inside, features, BLOCK)


@triton.jit
def _make_waves(angles, waves, inside, features, column_stride, BLOCK: tl.constexpr):
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
def _begin(
    coefficients,
    folds,
    columns,
    waves,
    features,
    j,
    FIRST_RX: tl.constexpr,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The product state behind the first layer, which counts as an embedding even if it embeds nothing."""
    count, of_qubits = tl.load(folds), coefficients + (2 << QUBITS)
    zero = tl.zeros([1 << QUBITS, BLOCK], dtype=waves.dtype.element_ty)
    x, y = tl.where((j == 0)[:, None], zero + 1, zero), zero
    if QUBITS <= 4:
        # A qubit that joins the state lies in registers: of more qubits some belong across lanes.
        y = tl.zeros([1, BLOCK], dtype=waves.dtype.element_ty)
        x = y + 1
    for wire in tl.static_range(QUBITS):
        ar, ai, br, bi = _matrix(
            of_qubits + wire, columns + wire, count, waves, features, FIRST_RX, QUBITS, BLOCK
        )
        if QUBITS <= 4:
            x, y = add_qubit(x, y, ar, ai, br, bi, wire, BLOCK)
        else:
            x, y = turn(x, y, ar, ai, br, bi, wire, QUBITS, BLOCK)
    return x, y


@triton.jit
def _rx_of(of_qubit, QUBITS: tl.constexpr):
    return tl.load(of_qubit), tl.load(of_qubit + QUBITS)


@triton.jit
def _matrix(
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
def _before(of_qubit, x, y, z, QUBITS: tl.constexpr):
    """Overlaps with X, Y and Z from behind a qubit's trained gates after its angles to before them."""
    r = of_qubit + 8 * QUBITS
    to_x = tl.load(r) * x + tl.load(r + QUBITS) * y + tl.load(r + 2 * QUBITS) * z
    to_y = tl.load(r + 3 * QUBITS) * x + tl.load(r + 4 * QUBITS) * y + tl.load(r + 5 * QUBITS) * z
    to_z = tl.load(r + 6 * QUBITS) * x + tl.load(r + 7 * QUBITS) * y + tl.load(r + 8 * QUBITS) * z
    return to_x, to_y, to_z


@triton.jit
def _undo_trained(of_qubits, x, y, p, q, sums, again, QUBITS: tl.constexpr, BLOCK: tl.constexpr):
    """Un-computes a layer of trained gates and adds up what the gradients of its weights need."""
    for wire in tl.static_range(QUBITS):
        bx, by = overlaps_xy(x, y, p, q, wire, QUBITS, BLOCK)
        _add(sums + wire, bx, again)
        _add(sums + QUBITS + wire, by, again)
        tangent, sine = _rx_of(of_qubits + wire, QUBITS)
        x, y = rotate(x, y, -tangent, -sine, wire, QUBITS, BLOCK)
        p, q = rotate(p, q, -tangent, -sine, wire, QUBITS, BLOCK)
    return x, y, p, q


@triton.jit
def _measure(
    of_qubits,
    chains,
    count,
    waves,
    features,
    x,
    y,
    p,
    q,
    slopes,
    sums,
    again,
    FIRST_RX: tl.constexpr,
    QUBITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients of an embedding's angles, and sums of what those of its weights need."""
    for wire in tl.static_range(QUBITS):
        bx, by = overlaps_xy(x, y, p, q, wire, QUBITS, BLOCK)
        bz = overlap_z(x, y, p, q, wire, QUBITS, BLOCK)
        _add(sums + wire, bx, again)
        _add(sums + QUBITS + wire, by, again)
        bx, by, bz = _before(of_qubits + wire, bx, by, bz, QUBITS)
        bx, by, bz = _unwind(
            chains + wire, count, waves, features, bx, by, bz, slopes, FIRST_RX, QUBITS, BLOCK
        )
        _add(sums + 2 * QUBITS + wire, bx, again)
        _add(sums + 3 * QUBITS + wire, by, again)
        _add(sums + 4 * QUBITS + wire, bz, again)


@triton.jit
def _unwind(
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
def _read_state(
    state, cotangent, position, row, inside, batch, slope_stride, state_stride, QUBITS: tl.constexpr
):
    """State, and the cotangent that the slopes in the probabilities give it; zeros past the batch."""
    j = tl.arange(0, 1 << QUBITS)
    at = state + j.to(tl.int64)[:, None] * batch + row[None, :]
    x = tl.load(at, mask=inside[None, :], other=0.0)
    y = tl.load(at + (batch.to(tl.int64) << QUBITS), mask=inside[None, :], other=0.0)
    measured = tl.load(position + j)
    at = cotangent + row[None, :] * slope_stride + measured.to(tl.int64)[:, None] * state_stride
    slope = tl.load(at, mask=(measured >= 0)[:, None] & inside[None, :], other=0.0)
    return x, y, slope * x, slope * y


@triton.jit
def _clear(slopes, features, BLOCK: tl.constexpr):
    for column in range(features):
        tl.store(slopes + column * BLOCK, tl.zeros([BLOCK], dtype=slopes.dtype.element_ty))
    tl.debug_barrier()


@triton.jit
def _write_slopes(slopes, gradient, inside, features, BLOCK: tl.constexpr):
    for column in range(features):
        tl.store(gradient + column, tl.load(slopes + column * BLOCK), mask=inside)
    tl.debug_barrier()


@triton.jit
def _add(total, value, again):
    """Add the sum over a block to a program's total, which its first block begins."""
    tl.store(total, tl.load(total, mask=again, other=0.0) + tl.sum(value, axis=0))
