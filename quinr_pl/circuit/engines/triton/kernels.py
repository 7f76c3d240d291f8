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

from quinr_pl.circuit.engines.triton.angles import (
    clear_slopes,
    make_waves,
    matrix,
    overlaps_before,
    unwind,
    write_slopes,
)
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
    make_waves(angles + row * row_stride, waves, inside, features, column_stride, BLOCK)
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
                ar, ai, br, bi = matrix(
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
        clear_slopes(slopes, features, BLOCK)
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
                    ar, ai, br, bi = matrix(
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
        write_slopes(slopes, angles_gradient + row * features, inside, features, BLOCK)


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
        ar, ai, br, bi = matrix(
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
        bx, by, bz = overlaps_before(of_qubits + wire, bx, by, bz, QUBITS)
        bx, by, bz = unwind(
            chains + wire, count, waves, features, bx, by, bz, slopes, FIRST_RX, QUBITS, BLOCK
        )
        _add(sums + 2 * QUBITS + wire, bx, again)
        _add(sums + 3 * QUBITS + wire, by, again)
        _add(sums + 4 * QUBITS + wire, bz, again)


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
def _add(total, value, again):
    """Add the sum over a block to a program's total, which its first block begins."""
    tl.store(total, tl.load(total, mask=again, other=0.0) + tl.sum(value, axis=0))
