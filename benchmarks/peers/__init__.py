"""Simulators side by side, one a module.

Each module has ``prepare(ansatz, angles, weights, cotangent, states)``, which takes float32 NumPy arrays
(batch, features_count), ansatz.weights_shape and (batch, len(states)) and returns two functions without
arguments: ``forward()`` gives the probabilities of the states, (batch, len(states)), and ``train()`` gives
the gradients of ``(cotangent * probabilities).sum()`` in the angles and in the weights. Inputs may be
brought into a simulator's own form beforehand; whatever depends on their values is part of the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Functions = tuple[Callable[[], Any], Callable[[], tuple[Any, Any]]]

MODULES = {
    "cpu": "quinr_cpu",
    "triton": "quinr_triton",
    "torch": "quinr_torch",
    "lightning_vjp": "quinr_lightning_vjp",
    "lightning.qubit": "lightning_qubit",
    "default.qubit": "default_qubit",
    "torchquantum": "torchquantum_peer",
    "deepquantum": "deepquantum_peer",
    "tensorcircuit-ng": "tensorcircuit_peer",
    "qandle": "qandle_peer",
    "jax-merged": "merged_jax",
    "cuda": "quinr_cuda",
    "cuda-graph": "quinr_cuda_graph",
    "jax-merged-real": "real_jax_merged",
    "jax-gates": "real_jax_gates",
    "torch-compiled-merged": "torch_compiled_merged",
    "torch-compiled-gates": "torch_compiled_gates",
}
"""Name of an engine in the results -> module."""

ON_CUDA = ("cuda", "triton", "torch", "jax-merged", "default.qubit", "tensorcircuit-ng")
"""Engines that ``--device cuda`` measures."""

ON_GPU_ALONE = (
    "cuda",
    "cuda-graph",
    "triton",
    "jax-merged-real",
    "jax-gates",
    "torch-compiled-merged",
    "torch-compiled-gates",
)
"""Engines that ``--device cpu`` leaves out; ``python -m benchmarks.gpu.peers`` measures them."""

PACKAGED = ("torchquantum", "deepquantum", "tensorcircuit-ng", "qandle")
"""Batched simulators that install from PyPI, besides PennyLane's."""
