"""Compiled loops of the CPU engine: a block of coordinates lies in the lanes of every operation.

A block's state is ``state[0]`` (real) and ``state[1]`` (imaginary), each (2**qubits, LANES). ``steps`` is the
circuit: rows (kind, wire, first, last), see :mod:`quinr_pl.circuit.cpu`.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

LANES = 64
EMBED, DIAGONAL, ROTATION = 0, 1, 2
_OPTIONS = {"cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "reassoc"}}


@njit(**_OPTIONS)
def compose(chain, half, matrix):
    """First column of the SU(2) matrix of a chain: rows re a, im a, re b, im b."""
    matrix[0] = 1
    matrix[1:] = 0
    for step in range(chain.shape[0]):
        column = chain[step, 1]
        for w in range(LANES):
            cos, sin = half[0, column, w], half[1, column, w]
            ar, ai, br, bi = matrix[0, w], matrix[1, w], matrix[2, w], matrix[3, w]
            if chain[step, 0] == 0:
                matrix[0, w] = cos * ar + sin * bi
                matrix[1, w] = cos * ai - sin * br
                matrix[2, w] = cos * br + sin * ai
                matrix[3, w] = cos * bi - sin * ar
            else:
                matrix[0, w] = cos * ar + sin * ai
                matrix[1, w] = cos * ai - sin * ar
                matrix[2, w] = cos * br - sin * bi
                matrix[3, w] = cos * bi + sin * br


@njit(**_OPTIONS)
def multiply(state, stride, matrix, sign):
    """Multiply a qubit by the matrix (sign 1) or by its inverse (sign -1)."""
    re, im = state[0], state[1]
    for base in range(0, re.shape[0], 2 * stride):
        for j in range(base, base + stride):
            k = j + stride
            for w in range(LANES):
                ar, ai = matrix[0, w], sign * matrix[1, w]
                br, bi = sign * matrix[2, w], sign * matrix[3, w]
                x, y, u, v = re[j, w], im[j, w], re[k, w], im[k, w]
                re[j, w] = ar * x - ai * y - br * u - bi * v
                im[j, w] = ar * y + ai * x - br * v + bi * u
                re[k, w] = br * x - bi * y + ar * u + ai * v
                im[k, w] = br * y + bi * x + ar * v - ai * u


@njit(**_OPTIONS)
def rotate(state, stride, cos, sin):
    """RX of one angle for all lanes."""
    re, im = state[0], state[1]
    for base in range(0, re.shape[0], 2 * stride):
        for j in range(base, base + stride):
            k = j + stride
            for w in range(LANES):
                x, y, u, v = re[j, w], im[j, w], re[k, w], im[k, w]
                re[j, w] = cos * x + sin * v
                im[j, w] = cos * y - sin * u
                re[k, w] = cos * u + sin * y
                im[k, w] = cos * v - sin * x


@njit(**_OPTIONS)
def turn(state, cos, sin, sign):
    """Multiply basis state j by cos[j] + i sign sin[j]."""
    re, im = state[0], state[1]
    for j in range(re.shape[0]):
        c, s = cos[j], sign * sin[j]
        for w in range(LANES):
            x, y = re[j, w], im[j, w]
            re[j, w] = c * x - s * y
            im[j, w] = c * y + s * x


@njit(**_OPTIONS)
def overlaps(ket, bra, stride, bloch):
    """Im <bra|X, Y, Z|ket> of a qubit, (3, LANES)."""
    bloch[:] = 0
    for base in range(0, ket.shape[1], 2 * stride):
        for j in range(base, base + stride):
            k = j + stride
            for w in range(LANES):
                x, y, u, v = ket[0, j, w], ket[1, j, w], ket[0, k, w], ket[1, k, w]
                p, q, r, s = bra[0, j, w], bra[1, j, w], bra[0, k, w], bra[1, k, w]
                bloch[0, w] += p * v - q * u + r * y - s * x
                bloch[1, w] += r * x + s * y - p * u - q * v
                bloch[2, w] += p * y - q * x - r * v + s * u


@njit(**_OPTIONS)
def unchain(chain, half, bloch, gradient):
    """Add the gradients of a chain's angles, given the overlaps after it."""
    for step in range(chain.shape[0] - 1, -1, -1):
        column = chain[step, 1]
        for w in range(LANES):
            c, s = half[0, column, w], half[1, column, w]
            cos, sin = c * c - s * s, 2 * c * s
            if chain[step, 0] == 0:
                gradient[column, w] += bloch[0, w]
                y, z = bloch[1, w], bloch[2, w]
                bloch[1, w] = cos * y + sin * z
                bloch[2, w] = cos * z - sin * y
            else:
                gradient[column, w] += bloch[2, w]
                x, y = bloch[0, w], bloch[1, w]
                bloch[0, w] = cos * x + sin * y
                bloch[1, w] = cos * y - sin * x


@njit(parallel=True, **_OPTIONS)
def forward(steps, chains, half, diagonals, rotations, states):
    """Final states, (blocks, 2, 2**qubits, LANES), of half = (blocks, 2, columns, LANES)."""
    for block in prange(half.shape[0]):
        state = states[block]
        state[:] = 0
        state[0, 0] = 1
        matrix = np.empty((4, LANES), half.dtype)
        for step in range(steps.shape[0]):
            kind, wire, first, last = steps[step]
            stride = state.shape[1] >> (wire + 1)
            if kind == EMBED:
                compose(chains[first:last], half[block], matrix)
                multiply(state, stride, matrix, 1)
            elif kind == DIAGONAL:
                turn(state, diagonals[0, first], diagonals[1, first], 1)
            else:
                rotate(state, stride, rotations[0, first], rotations[1, first])


@njit(parallel=True, **_OPTIONS)
def backward(steps, chains, half, diagonals, rotations, kets, bras, angle_grad, diagonal_grad, rotation_grad):
    """Gradients of angles (blocks, columns, LANES), and of shared phases and rotations for each worker."""
    workers = diagonal_grad.shape[0]
    for worker in prange(workers):
        matrix = np.empty((4, LANES), half.dtype)
        bloch = np.empty((3, LANES), half.dtype)
        for block in range(worker, half.shape[0], workers):
            ket, bra = kets[block], bras[block]
            for step in range(steps.shape[0] - 1, -1, -1):
                kind, wire, first, last = steps[step]
                stride = ket.shape[1] >> (wire + 1)
                if kind == EMBED:
                    overlaps(ket, bra, stride, bloch)
                    unchain(chains[first:last], half[block], bloch, angle_grad[block])
                    compose(chains[first:last], half[block], matrix)
                    multiply(ket, stride, matrix, -1)
                    multiply(bra, stride, matrix, -1)
                elif kind == DIAGONAL:
                    for j in range(ket.shape[1]):
                        total = diagonal_grad[worker, first, j]
                        for w in range(LANES):
                            total += 2 * (bra[1, j, w] * ket[0, j, w] - bra[0, j, w] * ket[1, j, w])
                        diagonal_grad[worker, first, j] = total
                    turn(ket, diagonals[0, first], diagonals[1, first], -1)
                    turn(bra, diagonals[0, first], diagonals[1, first], -1)
                else:
                    overlaps(ket, bra, stride, bloch)
                    rotation_grad[worker, first] += bloch[0].sum()
                    rotate(ket, stride, rotations[0, first], -rotations[1, first])
                    rotate(bra, stride, rotations[0, first], -rotations[1, first])
