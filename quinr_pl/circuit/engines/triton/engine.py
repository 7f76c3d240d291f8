"""The circuit in Triton kernels, for CUDA: a block of coordinates stays in the registers of one warp.

Adjoint differentiation as in :mod:`quinr_pl.circuit.engines.torch_adjoint`, with which it shares nothing but
the idea: one kernel runs the whole circuit, another one un-computes it. Before and after them two small ones
compute, once a batch, what all coordinates share: coefficients of the trained gates, and their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine
from quinr_pl.circuit.engines.trial import disagreement
from quinr_pl.circuit.engines.triton.tables import fits
from quinr_pl.circuit.lowering.in_torch import CircuitOperation
from quinr_pl.native.operation import Gradients

MAX_QUBITS = 8
"""Of more qubits the amplitudes of one coordinate outgrow a warp's registers: torch operations take over."""


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
        once = tuple(dict.fromkeys(measured))
        if not angles.numel() or not measured or not _serves(ansatz):
            return TorchEngine().probabilities(ansatz, angles, weights, states)
        probabilities = _Circuit(ansatz, once)(angles, weights)
        if len(once) == len(measured):
            return probabilities
        return torch.stack([probabilities[:, once.index(state)] for state in measured], dim=1)


def _serves(ansatz: Ansatz) -> bool:
    return ansatz.qubits <= MAX_QUBITS and not ansatz.amplitudes and fits(ansatz)


@cache
def failure(device: torch.device) -> str:
    """Why the kernels cannot be used on a device, found by trying them on a small circuit; or empty."""
    return disagreement(lambda ansatz: _Circuit(ansatz, tuple(range(ansatz.states))), device)


@dataclass(frozen=True)
class _Circuit(CircuitOperation):
    """Probabilities of basis states, by the kernels.

    Attributes:
        measured: The basis states, each once.
    """

    measured: tuple[int, ...]

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        # Imports Triton, which only those who run the kernels need.
        from quinr_pl.circuit.engines.triton.call import Call

        call = Call(self.ansatz, self.measured, angles, weights.contiguous())

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            return call.backward(cotangent)

        return call.forward(keep), gradients

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        """The operation in torch; see `Operation`."""
        every = super().in_torch(angles, weights)
        return torch.stack([every[:, state] for state in self.measured], dim=1)
