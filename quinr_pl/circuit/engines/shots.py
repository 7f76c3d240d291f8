"""A finite number of measurements in place of exact probabilities, as on a quantum computer without noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu.engine import CpuEngine
from quinr_pl.circuit.engines.parameter_shift import ParameterShiftEngine
from quinr_pl.circuit.engines.protocol import check, check_options
from quinr_pl.circuit.engines.sampling import SEED, SHOTS, frequencies, generator_of
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine
from quinr_pl.fields import Switch


class ShotsEngine(ParameterShiftEngine):
    """Measures all qubits of each coordinate ``shots`` times and gives the frequencies of the basis states.

    Every call draws anew. The same seed gives the same draws for the same calls in the same order; a fit
    that is continued begins them again.

    Args:
        shots: Measurements of each circuit, 1 to 2**24, as far as float32 counts them all.
        seed: Of the draws, not negative.
        gradients: "measured": by parameter shift, from as many shots for each shifted circuit; "exact":
            those of the exact probabilities (straight-through), which are right in the mean, have no
            noise and take one pass.

    Raises:
        QuinrError: If an argument is out of range.
    """

    name = "shots"

    def __init__(
        self, shots: int = 1000, seed: int = 0, gradients: Literal["measured", "exact"] = "measured"
    ) -> None:
        super().__init__()
        ways = Switch("measured", "exact")
        check_options(self.name, shots=(SHOTS, shots), seed=(SEED, seed), gradients=(ways, gradients))
        self.shots, self.seed, self.gradients, self._calls = shots, seed, gradients, 0

    def refusal(self, device: torch.device) -> str:
        """Reason why a device cannot be served; see `Engine.refusal`."""
        return "" if device.type in ("cpu", "cuda") else "torch draws binomial numbers on a CPU or CUDA only"

    def report(self) -> str:
        """Number of circuits and of shots; see `Engine.report`."""
        return f"{super().report()} of {self.shots:,} shots"

    def measure(self, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        """Frequencies of all basis states; see `ParameterShiftEngine.measure`."""
        generator = generator_of(self.seed, self._calls, angles.device)
        self._calls += 1
        return frequencies(_exact(ansatz, angles, weights), self.shots, generator).to(angles)

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        if self.gradients == "measured":
            return super().probabilities(ansatz, angles, weights, states)
        measured = check(ansatz, angles, weights, states)
        exact = _exact(ansatz, angles, weights)
        with torch.no_grad():
            found = self._run(ansatz, angles.detach(), weights.detach())
        # The value is the frequency, the gradient that of the probability.
        values = found + (exact - exact.detach())
        return values if states is None else values[:, list(measured)]


def _exact(ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
    engine = CpuEngine() if angles.device.type == "cpu" else TorchEngine()
    return engine.probabilities(ansatz, angles, weights)
