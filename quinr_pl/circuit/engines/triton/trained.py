"""What all coordinates share, once a batch in double precision: coefficients, and gradients of weights.

Coefficients of a layer, (2 * 2**qubits + 17 * qubits): cosines and sines of the phases before it; then kinds
of numbers, each for every qubit. Of trained gates they are an RX, as tangent and sine: a qubit's matrix is an
RX between phases, and those join the diagonals. Of an embedding they are the first columns of the matrices
before and after the angles, 4 each, and the rotation that takes overlaps from behind the latter to before it.
"""

from __future__ import annotations

import triton
import triton.language as tl

SIZES = ("trained", "length", "gates", "layers", "width", "programs")
"""Arguments of the kernels that are never compiled for a value."""


@triton.jit(do_not_specialize=SIZES)
def prepare(
    weights,
    constants,
    folds,
    chains,
    diagonal,
    generators,
    coefficients,
    after,
    trained,
    length,
    gates,
    width,
    QUBITS: tl.constexpr,
    SLOTS: tl.constexpr,
    GATES: tl.constexpr,
    STATES: tl.constexpr,
):
    """Coefficients of a layer, and the phase ``after`` each RX, (layers, qubits), for some basis states."""
    layer, j = tl.program_id(0), tl.program_id(1) * STATES + tl.arange(0, STATES)
    slot = tl.arange(0, SLOTS)
    own = coefficients + layer * width
    angle = _diagonal(
        weights, constants, diagonal + layer * gates, generators, j, trained, gates, QUBITS, GATES
    )
    if tl.load(folds + layer) < 0:
        chain = chains + 2 * layer * length * QUBITS
        ar, ai, br, bi = _compose(weights, constants, chain, trained, length, QUBITS, SLOTS)
        tangent, sine, behind, before = _polar(ar, ai, br, bi)
        angle += _of_ones(before, slot, j, QUBITS)
        if tl.program_id(1) == 0:
            tl.store(own + (2 << QUBITS) + slot, tangent, mask=slot < QUBITS)
            tl.store(own + (2 << QUBITS) + QUBITS + slot, sine, mask=slot < QUBITS)
            tl.store(after + layer * QUBITS + slot, behind, mask=slot < QUBITS)
    elif tl.program_id(1) == 0:
        chain = chains + 2 * layer * length * QUBITS
        _embedding(weights, constants, chain, own + (2 << QUBITS), trained, length, QUBITS, SLOTS)
    # Nothing lies before the first layer, which is never one of trained gates itself.
    previous = tl.maximum(layer - 1, 0)
    if tl.load(folds + previous) < 0:
        chain = chains + 2 * previous * length * QUBITS
        ar, ai, br, bi = _compose(weights, constants, chain, trained, length, QUBITS, SLOTS)
        tangent, sine, behind, before = _polar(ar, ai, br, bi)
        angle += _of_ones(behind, slot, j, QUBITS)
    tl.store(own + j, tl.cos(angle))
    tl.store(own + (1 << QUBITS) + j, tl.sin(angle))


@triton.jit(do_not_specialize=SIZES)
def finish(
    weights,
    constants,
    folds,
    chains,
    diagonal,
    generators,
    after,
    sums,
    weights_gradient,
    trained,
    length,
    gates,
    layers,
    programs,
    QUBITS: tl.constexpr,
    SLOTS: tl.constexpr,
    GATES: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Gradients of the weights of a layer and of the diagonal before it, from the programs' sums."""
    layer, slot = tl.program_id(0), tl.arange(0, SLOTS)
    j, count = tl.arange(0, 1 << QUBITS), tl.load(folds + layer)
    width = (1 << QUBITS) + 5 * QUBITS
    own = sums + layer * width
    if layer > 0:
        overlaps = _totals(own, j, j >= 0, programs, layers * width, ROWS)
        for first in range(0, gates, GATES):
            gate = first + tl.arange(0, GATES)
            table = tl.load(
                generators + (gate[:, None] << QUBITS) + j[None, :], mask=gate[:, None] < gates, other=0.0
            )
            weight = tl.load(diagonal + layer * gates + gate, mask=gate < gates, other=0)
            gradient = -2 * tl.sum(table * overlaps[None, :], axis=1)
            tl.store(weights_gradient + weight, gradient, mask=(gate < gates) & (weight < trained))
    # Behind the last layer the cotangent is a multiple of each amplitude, and all overlaps with Z are 0.
    overlaps = _totals(own + width, j, (j >= 0) & (layer + 1 < layers), programs, layers * width, ROWS)
    z = tl.sum((1 - 2 * _ones(slot, j, QUBITS)) * overlaps[None, :], axis=1)
    kinds = own + (1 << QUBITS)
    x = _totals(kinds, slot, slot < QUBITS, programs, layers * width, ROWS)
    y = _totals(kinds + QUBITS, slot, slot < QUBITS, programs, layers * width, ROWS)
    chain = chains + 2 * layer * length * QUBITS
    if count < 0:
        behind = tl.load(after + layer * QUBITS + slot, mask=slot < QUBITS, other=0.0)
        c, s = tl.cos(behind), tl.sin(behind)
        _gradients(
            weights,
            constants,
            chain,
            weights_gradient,
            c * x - s * y,
            c * y + s * x,
            z,
            trained,
            length,
            QUBITS,
            SLOTS,
        )
    else:
        of_end = chain + length * QUBITS
        _gradients(weights, constants, of_end, weights_gradient, x, y, z, trained, length, QUBITS, SLOTS)
        x = _totals(kinds + 2 * QUBITS, slot, slot < QUBITS, programs, layers * width, ROWS)
        y = _totals(kinds + 3 * QUBITS, slot, slot < QUBITS, programs, layers * width, ROWS)
        z = _totals(kinds + 4 * QUBITS, slot, slot < QUBITS, programs, layers * width, ROWS)
        _gradients(weights, constants, chain, weights_gradient, x, y, z, trained, length, QUBITS, SLOTS)


@triton.jit
def _totals(sums, column, exists, programs, stride, ROWS: tl.constexpr):
    """Sums of columns over all programs in double precision and in one order."""
    total = tl.zeros([ROWS, column.shape[0]], dtype=tl.float64)
    for first in range(0, programs, ROWS):
        row = first + tl.arange(0, ROWS)
        at = sums + row.to(tl.int64)[:, None] * stride + column[None, :]
        total += tl.load(at, mask=(row < programs)[:, None] & exists[None, :], other=0.0).to(tl.float64)
    return tl.sum(total, axis=0)


@triton.jit
def _weight(weights, constants, index, trained):
    """Weights by their index, in double precision; constants follow them, and -1 stands for 0."""
    is_trained = (index >= 0) & (index < trained)
    weight = tl.load(weights + index, mask=is_trained, other=0.0).to(tl.float64)
    return weight + tl.load(constants + index - trained, mask=index >= trained, other=0.0)


@triton.jit
def _diagonal(
    weights, constants, diagonal, generators, j, trained, gates, QUBITS: tl.constexpr, GATES: tl.constexpr
):
    """Phases of a diagonal's two-qubit gates."""
    gate = tl.arange(0, GATES)
    index = tl.load(diagonal + gate, mask=gate < gates, other=-1)
    weight = _reduced(_weight(weights, constants, index, trained))
    at = generators + (gate[:, None] << QUBITS) + j[None, :]
    return tl.sum(weight[:, None] * tl.load(at, mask=gate[:, None] < gates, other=0.0), axis=0)


@triton.jit
def _reduced(weight):
    """Weights, large ones without multiples of 4π: sums of those would drown in rounding."""
    half = 0.5 * weight
    return tl.where(tl.abs(weight) > 64, 2 * _angle(tl.cos(half), tl.sin(half)), weight)


@triton.jit
def _angle(cos, sin):
    """The angle of a unit vector: from that along a square's edge by two steps of fifth order."""
    quarter: tl.constexpr = 1.5707963267948966
    along = quarter * (1 - cos / (tl.abs(cos) + tl.abs(sin)))
    angle = tl.where(sin < 0, -along, along)
    for _ in tl.static_range(2):
        wrong = sin * tl.cos(angle) - cos * tl.sin(angle)
        angle += wrong + wrong * wrong * wrong / 6
    return angle


@triton.jit
def _direction(real, imaginary):
    """Absolute value and angle of numbers; of 0 any angle will do."""
    size = tl.sqrt(real * real + imaginary * imaginary)
    is_zero = size == 0
    over = tl.where(is_zero, 1.0, size)
    return size, _angle(tl.where(is_zero, 1.0, real / over), imaginary / over)


@triton.jit
def _polar(ar, ai, br, bi):
    """Matrices as diag(1, e^(i after)) RX diag(1, e^(i before)), up to a global phase."""
    cosine, first = _direction(ar, ai)
    sine, second = _direction(br, bi)
    quarter: tl.constexpr = 1.5707963267948966
    return sine / (1 + cosine), sine, second + quarter - first, 3 * quarter - second - first


@triton.jit
def _of_ones(phase, slot, j, QUBITS: tl.constexpr):
    """Phase of each basis state from those of its qubits that are 1."""
    one = _ones(slot, j, QUBITS)
    return tl.sum(tl.where((slot < QUBITS)[:, None] & (one == 1), phase[:, None], 0.0), axis=0)


@triton.jit
def _ones(slot, j, QUBITS: tl.constexpr):
    """Qubits of basis states, (slots, states): 0 or 1."""
    return (j[None, :] >> tl.maximum(QUBITS - 1 - slot, 0)[:, None]) & 1


@triton.jit
def _turns(weights, constants, at, trained, QUBITS: tl.constexpr, SLOTS: tl.constexpr):
    """Index of the weights of one rotation of each qubit, and cosine and sine of half of them."""
    slot = tl.arange(0, SLOTS)
    index = tl.load(at + slot, mask=slot < QUBITS, other=-1)
    half = 0.5 * _weight(weights, constants, index, trained)
    return index, tl.cos(half), tl.sin(half)


@triton.jit
def _compose(weights, constants, chain, trained, length, QUBITS: tl.constexpr, SLOTS: tl.constexpr):
    """First column (a, b) of the product of a chain of RZ and RX in turn: the matrix ((a, -b*), (b, a*))."""
    zero = tl.zeros([SLOTS], dtype=tl.float64)
    ar, ai, br, bi = zero + 1, zero, zero, zero
    for position in range(0, length, 2):
        at = chain + position * QUBITS
        _, c, s = _turns(weights, constants, at, trained, QUBITS, SLOTS)
        ar, ai, br, bi = c * ar + s * ai, c * ai - s * ar, c * br - s * bi, c * bi + s * br
        _, c, s = _turns(weights, constants, at + QUBITS, trained, QUBITS, SLOTS)
        ar, ai, br, bi = c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar
    return ar, ai, br, bi


@triton.jit
def _embedding(weights, constants, chain, to, trained, length, QUBITS: tl.constexpr, SLOTS: tl.constexpr):
    """Coefficients of an embedding."""
    slot = tl.arange(0, SLOTS)
    for end in tl.static_range(2):
        ar, ai, br, bi = _compose(
            weights, constants, chain + end * length * QUBITS, trained, length, QUBITS, SLOTS
        )
        tl.store(to + 4 * end * QUBITS + slot, ar, mask=slot < QUBITS)
        tl.store(to + (4 * end + 1) * QUBITS + slot, ai, mask=slot < QUBITS)
        tl.store(to + (4 * end + 2) * QUBITS + slot, br, mask=slot < QUBITS)
        tl.store(to + (4 * end + 3) * QUBITS + slot, bi, mask=slot < QUBITS)
    for axis in tl.static_range(3):
        zero = tl.zeros([SLOTS], dtype=tl.float64)
        x, y, z = (
            zero + (1 if axis == 0 else 0),
            zero + (1 if axis == 1 else 0),
            zero + (1 if axis == 2 else 0),
        )
        of_end = chain + length * QUBITS
        x, y, z = _gradients(weights, constants, of_end, None, x, y, z, trained, length, QUBITS, SLOTS)
        tl.store(to + (8 + axis) * QUBITS + slot, x, mask=slot < QUBITS)
        tl.store(to + (11 + axis) * QUBITS + slot, y, mask=slot < QUBITS)
        tl.store(to + (14 + axis) * QUBITS + slot, z, mask=slot < QUBITS)


@triton.jit
def _gradients(
    weights, constants, chain, gradient, x, y, z, trained, length, QUBITS: tl.constexpr, SLOTS: tl.constexpr
):
    """Overlaps from behind a chain to before it; on the way they are the gradients of its weights."""
    for step in range(0, length, 2):
        at = chain + (length - 2 - step) * QUBITS
        index, c, s = _turns(weights, constants, at + QUBITS, trained, QUBITS, SLOTS)
        if gradient is not None:
            tl.store(gradient + index, x, mask=(index >= 0) & (index < trained))
        c, s = c * c - s * s, 2 * c * s
        y, z = c * y + s * z, c * z - s * y
        index, c, s = _turns(weights, constants, at, trained, QUBITS, SLOTS)
        if gradient is not None:
            tl.store(gradient + index, z, mask=(index >= 0) & (index < trained))
        c, s = c * c - s * s, 2 * c * s
        x, y = c * x + s * y, c * y - s * x
    return x, y, z
