"""The circuit in Triton kernels, for CUDA: a block of coordinates stays in the registers of one warp.

Adjoint differentiation as in :mod:`quinr_pl.circuit.engines.torch_adjoint`, with which it shares nothing but
the idea: here one kernel runs the whole circuit, another one un-computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine
from quinr_pl.circuit.engines.trial import disagreement
from quinr_pl.circuit.lowering.in_torch import CircuitOperation, without_large
from quinr_pl.circuit.lowering.plan import plan
from quinr_pl.native.operation import Gradients

MAX_QUBITS = 8
"""Of more qubits the amplitudes of one coordinate outgrow a warp's registers: torch operations take over."""

_AMPLITUDES = 512
# A warp of 32 lanes holds that many, 16 a lane: with cotangents 64 registers, and the kernels stay below 128.
_PROGRAMS = 2048
# Each has sums of its own. 16 warps on each of 132 multiprocessors fill an H100.
OPTIONS = {"num_warps": 1, "enable_fp_fusion": True}
"""What the kernels are compiled with."""


class TritonEngine(Engine):
    """Batched adjoint simulator in Triton kernels, for up to ``MAX_QUBITS`` qubits; torch operations above.

    A result does not depend on what else the device does: each sum has one order.
    """

    name = "triton"
    exact = True

    def refusal(self, device: torch.device) -> str:
        """Reason why a device cannot be served; see `Engine.refusal`."""
        # On a CPU they run in Triton's interpreter, where that is switched on.
        return failure(device) if device.type in ("cuda", "cpu") else "its kernels are for CUDA"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        if ansatz.qubits > MAX_QUBITS or ansatz.amplitudes or not angles.numel():
            return TorchEngine().probabilities(ansatz, angles, weights, states)
        probability = _Circuit(ansatz)(angles, weights)
        return probability if states is None else probability[:, list(measured)]


@cache
def failure(device: torch.device) -> str:
    """Why the kernels cannot be used on a device, found by trying them on a small circuit; or empty."""
    return disagreement(_Circuit, device)


@dataclass(frozen=True)
class _Tables:
    """The plan of an ansatz on a device; see quinr_pl.circuit.lowering.plan.Plan."""

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


class _Circuit(CircuitOperation):
    """Probabilities of all basis states, by the kernels."""

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        from quinr_pl.circuit.engines.triton import kernels as triton_kernels

        tables = _tables(self.ansatz, angles.device, angles.dtype)
        trained = weights.numel()
        flat = without_large(plan(self.ansatz).with_constants(weights).reshape(-1))
        turns = flat[tables.diagonal] @ tables.generators  # (layers, states)
        # A column past the angles is a weight; the first of them is always 0.
        padded = torch.cat([flat.new_zeros(1), flat])
        phases = torch.stack([turns.cos(), turns.sin()], dim=1).contiguous()
        given = (angles.t().contiguous(), padded, tables.columns, tables.pairs, phases)
        batch, block = len(angles), block_size(self.ansatz)
        state = angles.new_empty(2, self.ansatz.states, batch)
        sizes = (self.ansatz.features_count, tables.columns.shape[2], len(tables.pairs))
        grid = (-(-batch // block),)
        triton_kernels.forward[grid](
            *given, state, batch, *sizes, QUBITS=self.ansatz.qubits, BLOCK=block, **OPTIONS
        )

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            of_angles, of_weights = self._adjoint(given, state, cotangent)
            return of_angles, of_weights[:trained].to(weights.dtype).reshape(weights.shape)

        return state.square().sum(0).t(), gradients

    def _adjoint(self, given: tuple[Tensor, ...], state: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in the angles, (batch, features_count), and in the weights, (weights,) in float64."""
        from quinr_pl.circuit.engines.triton import kernels as triton_kernels

        angles, padded = given[:2]
        tables = _tables(self.ansatz, angles.device, angles.dtype)
        batch, block, layers = angles.shape[1], block_size(self.ansatz), len(tables.pairs)
        programs = min(_PROGRAMS, -(-batch // block))
        of_angles = torch.zeros_like(angles)
        of_weights = angles.new_zeros(programs, len(padded))
        of_phases = angles.new_zeros(programs, layers, self.ansatz.states)
        triton_kernels.backward[(programs,)](
            *given,
            state,
            cotangent.t().contiguous(),
            of_angles,
            of_weights,
            of_phases,
            batch,
            self.ansatz.features_count,
            len(padded),
            tables.columns.shape[2],
            layers,
            QUBITS=self.ansatz.qubits,
            BLOCK=block,
            **OPTIONS,
        )
        gradient = of_weights[:, 1:].double().sum(0)
        # Before layer 0 there is no diagonal.
        of_diagonals = of_phases[:, 1:].double().sum(0) @ tables.generators.double().t()
        gradient.index_add_(0, tables.diagonal[1:].reshape(-1), of_diagonals.reshape(-1))
        return of_angles.t(), gradient


def block_size(ansatz: Ansatz) -> int:
    """Coordinates of a block."""
    return min(32, _AMPLITUDES >> ansatz.qubits)
