"""The engines by name, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.registry import Registry

ENGINES: Registry[str, type[Engine]] = Registry(
    "engine",
    "quinr_pl.engines",
    {
        "auto": "quinr_pl.circuit.engines.registry:AutoEngine",
        # The fastest first: auto takes the first exact one that serves the device.
        "cpu": "quinr_pl.circuit.engines.cpu.engine:CpuEngine",
        "cuda": "quinr_pl.circuit.engines.cuda.engine:CudaEngine",
        "triton": "quinr_pl.circuit.engines.triton.engine:TritonEngine",
        "torch": "quinr_pl.circuit.engines.torch_adjoint:TorchEngine",
        "lightning_vjp": "quinr_pl.circuit.engines.lightning_vjp:LightningVjpEngine",
        "lightning": "quinr_pl.circuit.engines.lightning:LightningEngine",
        "shots": "quinr_pl.circuit.engines.shots:ShotsEngine",
    },
)


class AutoEngine(Engine):
    """On each device the fastest exact engine that serves it."""

    name = "auto"
    exact = True

    def on(self, device: torch.device) -> Engine:
        """The fastest exact engine that serves a device."""
        for name in ENGINES:
            kind = ENGINES[name]
            if kind.exact and kind is not AutoEngine and not (engine := kind()).refusal(device):
                return engine
        raise AssertionError("torch serves every device")

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        return self.on(angles.device).probabilities(ansatz, angles, weights, states)


def make_engine(engine: str | Engine = "auto") -> Engine:
    """The engine of a name, with its default options; an engine stays what it is.

    Args:
        engine: ``cpu`` (fused and batched, for the CPU), ``cuda`` and ``triton`` (fused and batched, for
            CUDA), ``torch`` (batched, for any torch device), ``lightning`` (PennyLane's lightning.qubit, the
            reference),
            ``lightning_vjp`` (the same simulator without the QNode), ``shots`` (frequencies of finitely many
            measurements), ``auto``: the fastest exact one of each device; or the name of an engine that
            another package offers.

    Raises:
        QuinrError: If no engine has that name.
    """
    return ENGINES[engine]() if isinstance(engine, str) else engine


def choose(engine: str | Engine = "auto", device: torch.device | str = "cpu") -> Engine:
    """The engine that computes for tensors of a device.

    Args:
        engine: Name of an engine, or an engine; see :func:`make_engine`.
        device: Where angles and weights will lie.

    Raises:
        QuinrError: If no engine has that name, or it cannot serve that device.
    """
    return make_engine(engine).on(torch.device(device))
