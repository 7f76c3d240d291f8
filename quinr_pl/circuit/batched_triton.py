"""The circuit in Triton kernels, for CUDA: a block of coordinates stays in the registers of one warp.

Adjoint differentiation as in :mod:`quinr_pl.circuit.batched_torch`, with which it shares nothing but the
idea: here one kernel runs the whole circuit, another one un-computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.batched_torch import TorchEngine
from quinr_pl.circuit.cpu_plan import plan
from quinr_pl.circuit.engine import check

MAX_QUBITS = 8
"""Of more qubits the amplitudes of one coordinate outgrow a warp's registers: torch operations take over."""

_AMPLITUDES = 512
# A warp of 32 lanes holds that many, 16 a lane: with cotangents 64 registers, and the kernels stay below 128.
_PROGRAMS = 2048
# Each has sums of its own. 16 warps on each of 132 multiprocessors fill an H100.
OPTIONS = {"num_warps": 1, "enable_fp_fusion": True}
"""What the kernels are compiled with."""


class TritonEngine:
    """Batched adjoint simulator in Triton kernels, for up to ``MAX_QUBITS`` qubits; torch operations above.

    A result does not depend on what else the device does: each sum has one order.
    """

    name = "triton"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """See :meth:`quinr_pl.circuit.engine.Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        if ansatz.qubits > MAX_QUBITS or not angles.numel():
            return TorchEngine().probabilities(ansatz, angles, weights, states)
        probability: Tensor = _Circuit.apply(ansatz, angles, weights)
        return probability if states is None else probability[:, list(measured)]


@cache
def failure(device: torch.device) -> str:
    """Why the kernels cannot be used on a device, found by trying them on a small circuit; or empty."""
    ansatz = Ansatz(qubits=2, angles=3, uploads=2)
    generator = torch.Generator("cpu").manual_seed(0)
    shapes = ((5, ansatz.features_count), ansatz.weights_shape)
    results = []
    try:
        # On the CPU by name: the caller's default device need not be that of the generator.
        drawn = [torch.randn(shape, generator=generator, device="cpu").to(device) for shape in shapes]
        for run in (_Circuit.apply, TorchEngine().probabilities):
            angles, weights = leaves = [tensor.clone().requires_grad_() for tensor in drawn]
            probabilities = run(ansatz, angles, weights)
            gradients = torch.autograd.grad(probabilities[:, 0].sum(), leaves)
            results.append([probabilities.detach(), *gradients])
    except Exception as error:  # no Triton, no driver, no compiler: whatever it is, it cannot be used
        return str(error).strip().partition("\n")[0] or type(error).__name__
    agree = all(torch.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(*results, strict=True))
    return "" if agree else "its results differ from those of engine torch"


@dataclass(frozen=True)
class _Tables:
    """The plan of an ansatz on a device; see quinr_pl.circuit.cpu_plan.Plan."""

    columns: Tensor
    pairs: Tensor
    diagonal: Tensor
    generators: Tensor


@lru_cache(maxsize=64)
def _tables(ansatz: Ansatz, device: torch.device, dtype: torch.dtype) -> _Tables:
    circuit = plan(ansatz)
    return _Tables(
        torch.from_numpy(circuit.columns).to(device),
        torch.from_numpy(circuit.pairs).to(device),
        torch.from_numpy(circuit.diagonal).to(device),
        torch.from_numpy(circuit.generators).to(device, dtype),
    )


class _Circuit(torch.autograd.Function):
    """Probabilities of all basis states."""

    @staticmethod
    def forward(ctx: Any, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        from quinr_pl.circuit import triton_kernels

        tables = _tables(ansatz, angles.device, angles.dtype)
        flat = weights.reshape(-1)
        turns = flat[tables.diagonal] @ tables.generators  # (layers, states)
        # A column past the angles is a weight; the first of them is always 0.
        padded = torch.cat([flat.new_zeros(1), flat])
        phases = torch.stack([turns.cos(), turns.sin()], dim=1).contiguous()
        given = (angles.t().contiguous(), padded, tables.columns, tables.pairs, phases)
        batch, block = len(angles), block_size(ansatz)
        state = angles.new_empty(2, ansatz.states, batch)
        sizes = (ansatz.features_count, tables.columns.shape[2], len(tables.pairs))
        grid = (-(-batch // block),)
        triton_kernels.forward[grid](
            *given, state, batch, *sizes, QUBITS=ansatz.qubits, BLOCK=block, **OPTIONS
        )
        ctx.ansatz, ctx.given, ctx.sizes = ansatz, given, sizes
        ctx.save_for_backward(angles, weights, state)
        return state.square().sum(0).t()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[None, Tensor, Tensor]:
        from quinr_pl.circuit import triton_kernels

        angles, weights, state = ctx.saved_tensors
        ansatz, sizes = ctx.ansatz, ctx.sizes
        tables = _tables(ansatz, angles.device, angles.dtype)
        batch, block, layers = len(angles), block_size(ansatz), len(tables.pairs)
        programs = min(_PROGRAMS, -(-batch // block))
        of_angles = angles.new_zeros(ansatz.features_count, batch)
        of_weights = angles.new_zeros(programs, 1 + weights.numel())
        of_phases = angles.new_zeros(programs, layers, ansatz.states)
        triton_kernels.backward[(programs,)](
            *ctx.given,
            state,
            cotangent.t().contiguous(),
            of_angles,
            of_weights,
            of_phases,
            batch,
            sizes[0],
            1 + weights.numel(),
            *sizes[1:],
            QUBITS=ansatz.qubits,
            BLOCK=block,
            **OPTIONS,
        )
        gradient = of_weights[:, 1:].double().sum(0)
        # Before layer 0 there is no diagonal.
        of_diagonals = of_phases[:, 1:].double().sum(0) @ tables.generators.double().t()
        gradient.index_add_(0, tables.diagonal[1:].reshape(-1), of_diagonals.reshape(-1))
        return None, of_angles.t(), gradient.to(weights.dtype).reshape(weights.shape)


def block_size(ansatz: Ansatz) -> int:
    """Coordinates of a block."""
    return min(32, _AMPLITUDES >> ansatz.qubits)
