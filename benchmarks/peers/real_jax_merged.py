"""JAX in real arithmetic, compiled: each block's trained gates as one matrix."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.real_jax import prepare_jax

prepare = partial(prepare_jax, merged=True)
