"""The circuit in real arithmetic, in the functions that JAX and torch share: gate by gate, or blocks merged.

A diagonal is one product with its phases, an RX one turn of its qubit. Merged, the trained gates of a block
become one matrix, by which the batch is multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.lowering.stages import generators

State = tuple[Any, Any]
"""Real and imaginary parts, (batch, 2**qubits)."""


def circuit(
    ansatz: Ansatz, states: range, merged: bool, library: Any, constant: Callable[[np.ndarray], Any]
) -> Callable[[Any, Any], Any]:
    """Probabilities of the states, (batch, len(states)), as a function of angles and weights.

    Args:
        ansatz: Ansatz of the circuit.
        states: Basis states at the end of all.
        merged: Whether a block's trained gates become one matrix.
        library: ``torch`` or ``jax.numpy``.
        constant: Makes an array of float32 one of the library.
    """
    n, pairs = ansatz.qubits, ansatz.wire_pairs
    single = constant(generators(n, tuple(("RZ", (q,)) for q in range(n))).astype(np.float32))
    double = constant(generators(n, tuple(("CRZ", pair) for pair in pairs)).astype(np.float32))
    identity = constant(np.eye(2**n, dtype=np.float32))

    def block(state: State, weights: Any) -> State:
        for layer in range(ansatz.layers):
            w = weights[layer]
            rz, rx, crz, last_rz, last_rx = np.split(np.arange(len(w)), np.cumsum([n, n, len(pairs), n]))
            state = _phased(library, state, w[rz[0] : rz[-1] + 1] @ single)
            state = _rotated(library, state, w[rx[0] : rx[-1] + 1])
            phase = w[last_rz[0] : last_rz[-1] + 1] @ single
            if len(crz):
                phase = phase + w[crz[0] : crz[-1] + 1] @ double
            state = _rotated(library, _phased(library, state, phase), w[last_rx[0] : last_rx[-1] + 1])
        return state

    def probabilities(angles: Any, weights: Any) -> Any:
        cos, sin = library.cos(angles / 2), library.sin(angles / 2)
        state: State | None = None
        for upload, columns in enumerate(ansatz.upload_index):
            folds = [_folds(cos, sin, columns[:, wire]) for wire in range(n)]
            if state is None:
                state = _product(library, folds)
            else:
                for wire, matrix in enumerate(folds):
                    state = _turned(library, state, wire, *(part[:, None, None] for part in matrix))
            if merged:
                real, imag = block((identity, 0 * identity), weights[upload])
                x, y = state
                state = x @ real - y @ imag, x @ imag + y @ real
            else:
                state = block(state, weights[upload])
        assert state is not None
        x, y = state[0][:, states.start :], state[1][:, states.start :]
        return x * x + y * y

    return probabilities


def _folds(cos: Any, sin: Any, columns: np.ndarray) -> tuple[Any, Any, Any, Any]:
    """First column of a qubit's matrix, real and imaginary parts in turn."""
    one, zero = 0 * cos[:, 0] + 1, 0 * cos[:, 0]
    ar, ai, br, bi = one, zero, zero, zero
    for fold, column in enumerate(columns.tolist()):
        if column < 0:
            continue
        c, s = cos[:, column], sin[:, column]
        if fold % 2 == 0:
            ar, ai, br, bi = c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar
        else:
            ar, ai, br, bi = c * ar + s * ai, c * ai - s * ar, c * br - s * bi, c * bi + s * br
    return ar, ai, br, bi


def _product(library: Any, matrices: list[tuple[Any, Any, Any, Any]]) -> State:
    x, y = 0 * matrices[0][0][:, None] + 1, 0 * matrices[0][0][:, None]
    for ar, ai, br, bi in matrices:
        real, imag = library.stack([ar, br], 1)[:, None], library.stack([ai, bi], 1)[:, None]
        u, v = x[:, :, None], y[:, :, None]
        x, y = ((u * real - v * imag).reshape(len(ar), -1), (u * imag + v * real).reshape(len(ar), -1))
    return x, y


def _turned(library: Any, state: State, wire: int, ar: Any, ai: Any, br: Any, bi: Any) -> State:
    shape = state[0].shape
    x, y = (part.reshape(shape[0], 2**wire, 2, -1) for part in state)
    x0, x1, y0, y1 = x[:, :, 0], x[:, :, 1], y[:, :, 0], y[:, :, 1]
    zero = ar * x0 - ai * y0 - br * x1 - bi * y1, ar * y0 + ai * x0 - br * y1 + bi * x1
    one = br * x0 - bi * y0 + ar * x1 + ai * y1, br * y0 + bi * x0 + ar * y1 - ai * x1
    real, imag = (library.stack([a, b], 2).reshape(shape) for a, b in zip(zero, one, strict=True))
    return real, imag


def _rotated(library: Any, state: State, theta: Any) -> State:
    for wire, (cos, sin) in enumerate(zip(library.cos(theta / 2), library.sin(theta / 2), strict=True)):
        shape = state[0].shape
        x, y = (part.reshape(shape[0], 2**wire, 2, -1) for part in state)
        x0, x1, y0, y1 = x[:, :, 0], x[:, :, 1], y[:, :, 0], y[:, :, 1]
        real = library.stack([cos * x0 + sin * y1, cos * x1 + sin * y0], 2).reshape(shape)
        imag = library.stack([cos * y0 - sin * x1, cos * y1 - sin * x0], 2).reshape(shape)
        state = real, imag
    return state


def _phased(library: Any, state: State, phase: Any) -> State:
    cos, sin = library.cos(phase), library.sin(phase)
    return state[0] * cos - state[1] * sin, state[0] * sin + state[1] * cos
