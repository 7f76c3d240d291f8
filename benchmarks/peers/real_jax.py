"""The circuit of benchmarks.peers.real_circuit in JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import Functions
from benchmarks.peers.real_circuit import circuit
from quinr_pl.circuit.ansatz import Ansatz


def prepare_jax(
    ansatz: Ansatz,
    angles: np.ndarray,
    weights: np.ndarray,
    cotangent: np.ndarray,
    states: range,
    merged: bool,
) -> Functions:
    """See benchmarks.peers."""
    probabilities = circuit(ansatz, states, merged, jnp, jnp.asarray)
    x, w, c = (jnp.asarray(array) for array in (angles, weights, cotangent))
    run = jax.jit(probabilities)
    step = jax.jit(jax.grad(lambda a, b, g: (probabilities(a, b) * g).sum(), argnums=(0, 1)))
    return lambda: jax.block_until_ready(run(x, w)), lambda: jax.block_until_ready(step(x, w, c))
