"""The circuit in CUDA C++: a coordinate's amplitudes stay in the registers of one or a few lanes of a warp.

Adjoint differentiation as in :mod:`quinr_pl.circuit.engines.torch_adjoint`. What all coordinates share, the
matrices and phases of the trained gates, is computed once a batch. Their gradients are no sums gate by gate:
those follow, once a batch too, from sums of each diagonal's overlaps with basis states and of each qubit's
overlaps with X, Y and Z. Every sum has a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cuda.call import Call, Shape, lane_qubits, layout
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine
from quinr_pl.circuit.engines.trial import disagreement
from quinr_pl.circuit.engines.triton.engine import TritonEngine
from quinr_pl.circuit.lowering.in_torch import CircuitOperation
from quinr_pl.circuit.lowering.plan import plan
from quinr_pl.native.operation import Gradients

MAX_QUBITS = 8
"""Of more qubits a coordinate takes more than half a warp: other engines take over."""


class CudaEngine(Engine):
    """Batched adjoint simulator in CUDA C++, for up to ``MAX_QUBITS`` qubits; another engine above.

    A result does not depend on what else the device does: each sum has one order.
    """

    name = "cuda"
    exact = True

    def refusal(self, device: torch.device) -> str:
        """Reason why a device cannot be served; see `Engine.refusal`."""
        return failure(device) if device.type == "cuda" else "its kernels are for CUDA"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        once = tuple(dict.fromkeys(measured))
        if not angles.numel() or not measured or not _fits(ansatz, once, angles):
            return _other(angles.device).probabilities(ansatz, angles, weights, states)
        probabilities = _Circuit(ansatz, once)(angles, weights)
        if len(once) == len(measured):
            return probabilities
        return torch.stack([probabilities[:, once.index(state)] for state in measured], dim=1)


def _fits(ansatz: Ansatz, measured: tuple[int, ...], angles: Tensor) -> bool:
    """Whether the kernels know the gates, and a block's shared memory holds their tables and sums."""
    known = ansatz.gate_kinds.embedding == ("RX", "RZ") and not plan(ansatz).constants
    if not known or ansatz.qubits > MAX_QUBITS:
        return False
    return layout(_shape(ansatz, measured, angles)).warps(len(angles), back=True) > 0


def _other(device: torch.device) -> Engine:
    engine = TritonEngine()
    return TorchEngine() if engine.refusal(device) else engine


def _shape(ansatz: Ansatz, measured: tuple[int, ...], angles: Tensor) -> Shape:
    lanes = lane_qubits(ansatz.qubits, len(angles), angles.dtype)
    return Shape(ansatz, measured, lanes, angles.dtype, angles.device)


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
        call = Call(
            layout(_shape(self.ansatz, self.measured, angles)), angles.contiguous(), weights.contiguous()
        )

        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor, Tensor]:
            return call.backward(cotangent.contiguous())

        return call.forward(keep), gradients

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        """The operation in torch; see `Operation`."""
        every = super().in_torch(angles, weights)
        return torch.stack([every[:, state] for state in self.measured], dim=1)
