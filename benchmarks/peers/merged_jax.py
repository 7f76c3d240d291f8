"""What a good engineer writes by hand: JAX, the whole batch, each block's trained gates as one matrix.

The folds of a qubit become one 2x2 matrix for each coordinate, the first upload a product state, and all the
entangling layers of a block one 2**n x 2**n matrix that the batch is multiplied by; float32, compiled.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import Functions
from quinr_pl.circuit.ansatz import Ansatz


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    chosen = np.array(states)

    def probabilities(angles: Any, weights: Any) -> Any:
        state = None
        for upload, columns in enumerate(ansatz.upload_index):
            matrices = [_fold(angles, columns[:, wire]) for wire in range(ansatz.qubits)]
            state = _product(matrices) if state is None else _turn(state, matrices)
            state = state @ _block(ansatz, weights[upload]).T
        return (state.real**2 + state.imag**2)[:, chosen]

    x, w, c = (jnp.asarray(array) for array in (angles, weights, cotangent))
    run = jax.jit(probabilities)
    step = jax.jit(jax.grad(lambda a, b, g: (probabilities(a, b) * g).sum(), argnums=(0, 1)))
    return lambda: jax.block_until_ready(run(x, w)), lambda: jax.block_until_ready(step(x, w, c))


def _fold(angles: Any, columns: np.ndarray) -> tuple[Any, Any]:
    """First column (a, b) of the product of a qubit's folds."""
    a, b = jnp.ones(len(angles), jnp.complex64), jnp.zeros(len(angles), jnp.complex64)
    for fold, column in enumerate(columns):
        if column < 0:
            continue
        cos, sin = jnp.cos(angles[:, column] / 2), jnp.sin(angles[:, column] / 2)
        if fold % 2 == 0:
            a, b = cos * a - 1j * sin * b, cos * b - 1j * sin * a
        else:
            a, b = (cos - 1j * sin) * a, (cos + 1j * sin) * b
    return a, b


def _product(matrices: list[tuple[Any, Any]]) -> Any:
    state = jnp.stack(matrices[0], axis=1)
    for a, b in matrices[1:]:
        state = (state[:, :, None] * jnp.stack([a, b], axis=1)[:, None]).reshape(len(a), -1)
    return state


def _turn(state: Any, matrices: list[tuple[Any, Any]]) -> Any:
    shape = state.shape
    for wire, (a, b) in enumerate(matrices):
        state = state.reshape(shape[0], 2**wire, 2, -1)
        zero, one = state[:, :, 0], state[:, :, 1]
        a, b = a[:, None, None], b[:, None, None]
        state = jnp.stack([a * zero - b.conj() * one, b * zero + a.conj() * one], axis=2)
    return state.reshape(shape)


def _block(ansatz: Ansatz, weights: Any) -> Any:
    """Matrix of all entangling layers of a block."""
    n, pairs = ansatz.qubits, ansatz.wire_pairs
    state = np.arange(2**n)
    bits = np.stack([(state >> (n - 1 - wire)) & 1 for wire in range(n)]).astype(np.float32)
    z = bits - 0.5
    crz = np.stack([bits[a] * z[b] for a, b in pairs]) if pairs else np.zeros((0, 2**n), np.float32)
    matrix = jnp.eye(2**n, dtype=jnp.complex64)
    for layer in weights:
        rz1, rx1, controlled, rz2, rx2 = jnp.split(layer, np.cumsum([n, n, len(pairs), n]))
        matrix = _kron(rx1) @ (jnp.exp(1j * (rz1 @ z))[:, None] * matrix)
        matrix = _kron(rx2) @ (jnp.exp(1j * (controlled @ crz + rz2 @ z))[:, None] * matrix)
    return matrix


def _kron(theta: Any) -> Any:
    matrix = jnp.ones((1, 1), jnp.complex64)
    for cos, sin in zip(jnp.cos(theta / 2), jnp.sin(theta / 2), strict=True):
        matrix = jnp.kron(matrix, jnp.array([[cos, -1j * sin], [-1j * sin, cos]]))
    return matrix
