"""Any PennyLane device: a simulator of another package, or a quantum computer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.lightning import apply_gates, qml
from quinr_pl.circuit.engines.parameter_shift import ParameterShiftEngine
from quinr_pl.circuit.engines.protocol import check_options
from quinr_pl.circuit.engines.sampling import SEED, SHOTS
from quinr_pl.errors import QuinrError


class DeviceEngine(ParameterShiftEngine):
    """Runs circuits on a PennyLane device.

    Args:
        device: The device's name: ``default.qubit``, ``lightning.qubit``, or one of a plugin that is
            installed, such as ``qiskit.aer``.
        shots: Measurements of each circuit; probabilities as the device computes them when left out.
        seed: Of the device's random numbers, another one for each call of the engine; for devices that have a
            ``seed``. When left out they draw as they do by themselves.
        arguments: Further arguments of the device. Its number of wires is that of the circuit.

    Raises:
        QuinrError: If there is no such device, it does not take the arguments, or one is out of range.
    """

    name = "device"

    def __init__(
        self,
        device: str,
        shots: int | None = None,
        seed: int | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_options(self.name, shots=(SHOTS, shots), seed=(SEED, seed))
        if not isinstance(arguments, dict | None):
            raise QuinrError(f"engine device with arguments {arguments}: give a mapping, such as {{seed: 1}}")
        self.device, self.shots, self.seed, self.arguments = device, shots, seed, dict(arguments or {})
        self._calls = 0
        self._made(1)  # what cannot be made fails here, not at the first step

    def refusal(self, device: torch.device) -> str:
        """Reason why a torch device cannot be served; see `Engine.refusal`."""
        return "" if device.type in ("cpu", "cuda") else "it needs numbers to hand to PennyLane"

    def report(self) -> str:
        """Number of circuits, and of shots where they are finite; see `Engine.report`."""
        of = "" if self.shots is None else f" of {self.shots:,} shots"
        return f"{super().report()}{of} on {self.device}"

    def measure(self, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        """Probabilities or frequencies of all basis states; see `ParameterShiftEngine.measure`."""
        device = self._made(ansatz.qubits)
        self._calls += 1

        def circuit(angles: Any, weights: Any) -> Any:
            apply_gates(ansatz, angles, weights)
            return qml.probs(wires=range(ansatz.qubits))

        node = qml.set_shots(qml.QNode(circuit, device, diff_method=None), shots=self.shots)
        try:
            found = node(*(tensor.detach().double().cpu().numpy() for tensor in (angles, weights)))
        except Exception as error:  # whatever a device raises, it is the device that cannot do it
            raise QuinrError(f"{self._told}: {_reason(error)}; choose another device") from error
        return torch.from_numpy(np.array(found).reshape(len(angles), ansatz.states)).to(angles)

    @property
    def _told(self) -> str:
        return f"engine device {self.device}"

    def _made(self, wires: int) -> Any:
        """The device, anew for each call, so that its random numbers follow from the seed and the call."""
        seeded = {} if self.seed is None else {"seed": _drawn(self.seed, self._calls)}
        try:
            return qml.device(self.device, wires=wires, **seeded, **self.arguments)
        except Exception as error:  # each device refuses in its own way
            given = ({} if self.seed is None else {"seed": self.seed}) | self.arguments
            told = ", ".join(f"{name} {value}" for name, value in given.items()) or "no arguments"
            raise QuinrError(
                f"{self._told} with {told}: {_reason(error)}; give a device that is installed, and arguments "
                "that it takes"
            ) from error


def _drawn(seed: int, call: int) -> int:
    return int(np.random.SeedSequence((seed, call)).generate_state(1)[0])


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
