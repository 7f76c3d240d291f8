"""What an engine offers, and how one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.errors import QuinrError

ENGINES = ("auto", "cpu", "triton", "torch", "lightning", "lightning_vjp")


@runtime_checkable
class Engine(Protocol):
    """Runs the circuit of an ansatz for a batch of coordinates.

    Attributes:
        name: The name that :func:`choose` knows it by.
    """

    name: str

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states, differentiable in the angles and in the weights.

        Args:
            ansatz: The circuit.
            angles: float32 or float64 tensor of shape (batch, ansatz.features_count), in radians; the
                batch may be empty.
            weights: Tensor of shape ansatz.weights_shape, same dtype and device, in radians.
            states: Basis states to measure, qubit 0 as the most significant bit; all when left out.

        Returns:
            Tensor of shape (batch, len(states)), of the same dtype and on the same device.

        Raises:
            QuinrError: If a shape, dtype or device does not fit.
        """
        ...


def check(
    ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Refuse what no engine can run.

    Returns:
        The basis states to measure.

    Raises:
        QuinrError: If a shape or dtype does not fit the ansatz, or a state does not exist.
    """
    if angles.ndim != 2 or angles.shape[1] != ansatz.features_count:
        raise QuinrError(f"angles of shape {tuple(angles.shape)}: needs (batch, {ansatz.features_count})")
    if tuple(weights.shape) != ansatz.weights_shape:
        raise QuinrError(f"weights of shape {tuple(weights.shape)}: needs {ansatz.weights_shape}")
    if angles.dtype not in (torch.float32, torch.float64) or weights.dtype != angles.dtype:
        raise QuinrError(
            f"angles of {angles.dtype} with weights of {weights.dtype}: both must be float32 or both float64"
        )
    if angles.device != weights.device:
        raise QuinrError(f"angles on {angles.device}, weights on {weights.device}: needs one device for both")
    if states is None:
        return tuple(range(ansatz.states))
    for state in states:
        if not 0 <= state < ansatz.states:
            raise QuinrError(f"basis state {state}: {ansatz.qubits} qubits have 0 to {ansatz.states - 1}")
    return tuple(states)


def check_name(name: str) -> None:
    """Refuse an engine that does not exist.

    Raises:
        QuinrError: If no engine has that name.
    """
    if name not in ENGINES:
        raise QuinrError(f"unknown engine {name!r}: choose one of {', '.join(ENGINES)}")


def choose(name: str = "auto", device: torch.device | str = "cpu") -> Engine:
    """The engine of a name.

    Args:
        name: ``cpu`` (fused and batched, for the CPU), ``triton`` (fused and batched, for CUDA), ``torch``
            (batched, for any torch device), ``lightning`` (PennyLane's lightning.qubit, the reference),
            ``lightning_vjp`` (the same simulator without the QNode), or ``auto``: the fastest that the device
            can run.
        device: Where angles and weights will lie.

    Raises:
        QuinrError: If no engine has that name, or it cannot serve that device.
    """
    check_name(name)
    place = torch.device(device)
    if name == "auto":
        name = _fastest(place)
    if name == "cpu":
        if place.type != "cpu":
            raise QuinrError(f"engine cpu on a {place.type} device: choose torch or auto")
        from quinr_pl.circuit.engines.cpu.engine import CpuEngine

        return CpuEngine()
    if name == "triton":
        from quinr_pl.circuit.engines.triton.engine import TritonEngine, failure

        if reason := failure(place):
            raise QuinrError(f"engine triton on a {place.type} device: {reason}; choose auto")
        return TritonEngine()
    if name == "torch":
        from quinr_pl.circuit.engines.torch_adjoint import TorchEngine

        return TorchEngine()
    if name == "lightning":
        from quinr_pl.circuit.engines.lightning import LightningEngine

        return LightningEngine()
    from quinr_pl.circuit.engines.lightning_vjp import LightningVjpEngine

    return LightningVjpEngine()


def _fastest(device: torch.device) -> str:
    if device.type == "cpu":
        return "cpu"
    if device.type != "cuda":
        return "torch"
    from quinr_pl.circuit.engines.triton.engine import failure

    return "torch" if failure(device) else "triton"
