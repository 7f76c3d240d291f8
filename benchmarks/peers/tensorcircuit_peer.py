"""TensorCircuit-NG on its JAX backend: one coordinate's circuit, vectorized over the batch and compiled."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import tensorcircuit as tc

from benchmarks.peers import Functions
from quinr_pl.circuit.ansatz import Ansatz


def prepare(
    ansatz: Ansatz, angles: np.ndarray, weights: np.ndarray, cotangent: np.ndarray, states: range
) -> Functions:
    """See benchmarks.peers."""
    tc.set_backend("jax")
    gates = list(ansatz.gates())
    chosen = np.array(states)

    def one(angles: Any, weights: Any) -> Any:
        circuit = tc.Circuit(ansatz.qubits)
        for gate in gates:
            value = angles[gate.index[0]] if gate.source == "angle" else weights[gate.index]
            getattr(circuit, gate.name.lower())(*gate.wires, theta=value)
        return (abs(circuit.state()) ** 2)[chosen]

    batched = jax.vmap(one, in_axes=(0, None))
    x, w, c = (jax.numpy.asarray(array) for array in (angles, weights, cotangent))
    run = jax.jit(batched)
    step = jax.jit(jax.grad(lambda a, b, g: (batched(a, b) * g).sum(), argnums=(0, 1)))
    return lambda: jax.block_until_ready(run(x, w)), lambda: jax.block_until_ready(step(x, w, c))
