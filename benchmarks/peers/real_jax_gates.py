"""JAX in real arithmetic, compiled: gate by gate."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.real_jax import prepare_jax

prepare = partial(prepare_jax, merged=False)
