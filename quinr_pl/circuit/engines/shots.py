"""A finite number of measurements in place of exact probabilities, as on a quantum computer without noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu.engine import CpuEngine
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.circuit.engines.torch_adjoint import TorchEngine
from quinr_pl.errors import QuinrError


class ShotsEngine(Engine):
    """Measures all qubits of each coordinate ``shots`` times and gives the frequencies of the basis states.

    Gradients are those of the exact probabilities (straight-through): they are right in the mean, and have
    none of the noise that gradients measured on a quantum computer would have.

    Every call draws anew. The same seed gives the same draws for the same calls in the same order; a fit
    that is continued begins them again.

    Args:
        shots: Measurements of each coordinate, 1 to 2**24, as far as float32 counts them all.
        seed: Of the draws, not negative.

    Raises:
        QuinrError: If an argument is out of range.
    """

    name = "shots"
    exact = False

    def __init__(self, shots: int = 1000, seed: int = 0) -> None:
        if not 1 <= shots <= 2**24:
            raise QuinrError(f"engine shots with shots {shots}: must lie between 1 and {2**24}")
        if seed < 0:
            raise QuinrError(f"engine shots with seed {seed}: must not be negative")
        self.shots, self.seed, self._calls = shots, seed, 0

    def refusal(self, device: torch.device) -> str:
        """Reason why a device cannot be served; see `Engine.refusal`."""
        return "" if device.type in ("cpu", "cuda") else "torch draws binomial numbers on a CPU or CUDA only"

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        engine = CpuEngine() if angles.device.type == "cpu" else TorchEngine()
        exact = engine.probabilities(ansatz, angles, weights)
        # A count of calls, unlike a generator, belongs to no device and is copied with the engine.
        (drawn,) = np.random.SeedSequence((self.seed, self._calls)).generate_state(1)
        generator = torch.Generator(angles.device).manual_seed(int(drawn))
        self._calls += 1
        frequencies = _counts(exact.detach(), self.shots, generator) / self.shots
        # The value is the frequency, the gradient that of the probability.
        values = frequencies + (exact - exact.detach())
        return values if states is None else values[:, list(measured)]


def _counts(probabilities: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """How often each state comes up: multinomial, (batch, states) -> (batch, states).

    State after state draws its share of the shots that the states before have left, so that the cost does
    not grow with the shots.
    """
    rest = probabilities.flip(1).cumsum(1).flip(1)  # of a state and all after it
    shares = probabilities / rest.clamp_min(torch.finfo(rest.dtype).tiny)  # of the last possible state: 1
    counts = torch.empty_like(probabilities)
    left = probabilities.new_full((len(probabilities),), float(shots))
    for state, share in enumerate(shares.unbind(1)):
        counts[:, state] = torch.binomial(left, share, generator=generator)
        left = left - counts[:, state]
    return counts
