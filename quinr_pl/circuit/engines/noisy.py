"""A quantum computer with errors in gates and in measurement."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.noise import GateErrors, by_density_matrix, by_trajectory, misread
from quinr_pl.circuit.engines.parameter_shift import ParameterShiftEngine
from quinr_pl.circuit.engines.protocol import check_options
from quinr_pl.circuit.engines.sampling import SEED, SHOTS, frequencies, generator_of
from quinr_pl.fields import Integer, Real

_SHARE = Real(0.0, low=0.0, high=1.0)
_DENSITY_QUBITS = 6
_TRAJECTORIES = Integer(1, 2**20)
_AMPLITUDES = 2**18  # of a block: 4 MiB, which stay in cache


class NoisyEngine(ParameterShiftEngine):
    """Probabilities of a circuit whose gates and measurements fail now and then.

    After every gate, those of the embedding included, each of its qubits is depolarized and damped; the bits
    of the measurement are read wrong with ``readout``. Up to 6 qubits the density matrix is computed; above,
    or where ``trajectories`` says so, pure states whose errors are drawn, and the mean is taken.

    Args:
        depolarizing: Probability that X, Y or Z strikes a qubit after a gate, as in PennyLane's
            DepolarizingChannel.
        amplitude_damping: Probability that a qubit at 1 falls to 0 after a gate, as in its AmplitudeDamping.
        readout: Probability that a bit is read wrong, as in its BitFlip.
        shots: Measurements of each circuit; the probabilities themselves when left out.
        trajectories: For each coordinate; when left out the density matrix, and 100 above 6 qubits.
        seed: Of trajectories and shots. Every call draws anew.

    Raises:
        QuinrError: If an argument is out of range.
    """

    name = "noisy"

    def __init__(
        self,
        depolarizing: float = 0.0,
        amplitude_damping: float = 0.0,
        readout: float = 0.0,
        shots: int | None = None,
        trajectories: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_options(
            self.name,
            depolarizing=(_SHARE, depolarizing),
            amplitude_damping=(_SHARE, amplitude_damping),
            readout=(_SHARE, readout),
            shots=(SHOTS, shots),
            trajectories=(_TRAJECTORIES, trajectories),
            seed=(SEED, seed),
        )
        self.errors, self.readout = GateErrors(depolarizing, amplitude_damping), readout
        self.shots, self.trajectories, self.seed, self._calls = shots, trajectories, seed, 0

    def refusal(self, device: torch.device) -> str:
        """Reason why a device cannot be served; see `Engine.refusal`."""
        return "" if device.type in ("cpu", "cuda") else "it needs double precision and binomial numbers"

    def report(self) -> str:
        """Number of circuits, and of shots where they are finite; see `Engine.report`."""
        return super().report() + ("" if self.shots is None else f" of {self.shots:,} shots")

    def measure(self, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        """Probabilities or frequencies of all basis states; see `ParameterShiftEngine.measure`."""
        generator = generator_of(self.seed, self._calls, angles.device)
        self._calls += 1
        rows, double = angles.double(), weights.double()
        if self.trajectories is None and ansatz.qubits <= _DENSITY_QUBITS:
            blocks = rows.split(max(1, _AMPLITUDES // 4**ansatz.qubits))
            found = torch.cat([by_density_matrix(ansatz, part, double, self.errors) for part in blocks])
        else:
            found = self._mean_of_trajectories(ansatz, rows, double, generator)
        found = misread(found, ansatz.qubits, self.readout)
        return (found if self.shots is None else frequencies(found, self.shots, generator)).to(angles)

    def _mean_of_trajectories(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Mean over the trajectories of each row: (batch, 2**qubits)."""
        count = 1 if self.errors.none else self.trajectories or 100
        total = angles.new_zeros(len(angles), ansatz.states)
        rows = torch.arange(len(angles), device=angles.device).repeat_interleave(count)
        for part in rows.split(max(1, _AMPLITUDES // ansatz.states)):
            found = by_trajectory(ansatz, angles[part], weights, self.errors, generator)
            total.index_add_(0, part, found)
        return total / count
