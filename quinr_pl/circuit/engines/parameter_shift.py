"""Gradients of circuits that can only be run: the parameter-shift rule, and a count of what was run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.protocol import Engine, check
from quinr_pl.errors import QuinrError
from quinr_pl.native.operation import Gradients, Operation


class Tally:
    """Number of circuits that an engine and its copies in this process have run."""

    def __init__(self) -> None:
        self.circuits = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Tally:
        """The same one: rounding trains copies of a network, whose circuits count too."""
        return self


class ParameterShiftEngine(Engine):
    """An engine that gives values and no derivatives, as a quantum computer does.

    Gradients are differences of the same circuit with one angle shifted (Mitarai et al. 2018, "Quantum
    circuit learning"; four shifts for CRZ, Anselmetti et al. 2021, "Local, expressive,
    quantum-number-preserving VQE ansätze for fermionic systems"). They are exact where the values are, and
    unbiased where these are measured. An angle that turns several gates is shifted in each of
    them.
    """

    exact = False

    def __init__(self) -> None:
        self._tally = Tally()

    @property
    def circuits(self) -> int:
        """Circuits run so far, by copies too: one for each coordinate and shift, whatever its shots."""
        return self._tally.circuits

    def report(self) -> str:
        """Number of circuits; see `Engine.report`."""
        return f"engine {self.name} ran {self.circuits:,} circuits"

    @abstractmethod
    def measure(self, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        """Probabilities of all basis states, or what is measured of them; no derivatives are asked for.

        Args:
            ansatz: Ansatz of the circuit.
            angles: (batch, ansatz.features_count) in radians, of a batch of at least 1.
            weights: Of shape ansatz.weights_shape, in radians.

        Returns:
            (batch, 2**qubits), of the dtype and on the device of the angles.
        """

    def probabilities(
        self, ansatz: Ansatz, angles: Tensor, weights: Tensor, states: Sequence[int] | None = None
    ) -> Tensor:
        """Probabilities of basis states; see `Engine.probabilities`."""
        measured = check(ansatz, angles, weights, states)
        probability = _Circuit(ansatz, self)(angles, weights)
        return probability if states is None else probability[:, list(measured)]

    def _run(self, ansatz: Ansatz, angles: Tensor, weights: Tensor) -> Tensor:
        if len(angles) == 0:
            return angles.new_zeros(0, ansatz.states)
        self._tally.circuits += len(angles)
        return self.measure(ansatz, angles, weights)


@dataclass(frozen=True)
class _Circuit(Operation):
    """What an engine measures, from angles and weights."""

    ansatz: Ansatz
    engine: ParameterShiftEngine

    def in_torch(self, angles: Tensor, weights: Tensor) -> Tensor:
        raise QuinrError(
            f"engine {self.engine.name}: its gradients are measured, and have no derivatives of their own; "
            "choose an exact engine for second derivatives, forward mode and torch.func"
        )

    def run(self, keep: bool, angles: Tensor, weights: Tensor) -> tuple[Tensor, Gradients]:
        def gradients(cotangent: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, Tensor | None]:
            return _shifted(self.engine, self.ansatz, angles, weights, cotangent, needed)

        return self.engine._run(self.ansatz, angles, weights), gradients


def _shifted(
    engine: ParameterShiftEngine,
    ansatz: Ansatz,
    angles: Tensor,
    weights: Tensor,
    cotangent: Tensor,
    needed: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients in angles and weights from circuits with one shifted gate each."""
    if ansatz.amplitudes and needed[0]:
        raise QuinrError(
            f"engine {engine.name}: amplitudes of the design {ansatz.design} have no parameter-shift rule; "
            "train with an exact engine"
        )
    apart, columns = _angles_apart(ansatz)
    # One copy of an angle for each gate that it turns.
    turned, weights = angles[:, columns].contiguous(), weights.clone()
    of_turned, of_weights = torch.zeros_like(turned), torch.zeros_like(weights)
    for gate in apart.gates():
        of_weight = gate.source == "weight"
        if gate.source == "nothing" or not needed[of_weight]:
            continue
        parameter = weights[gate.index] if of_weight else turned[:, gate.index[0]]
        slope = cotangent.new_zeros(len(angles))
        for coefficient, shift in gate.shifts:
            with _added(parameter, shift):
                slope += coefficient * (engine._run(apart, turned, weights) * cotangent).sum(1)
        if of_weight:
            of_weights[gate.index] = slope.sum()
        else:
            of_turned[:, gate.index[0]] = slope
    of_angles = torch.zeros_like(angles).index_add_(1, columns.to(angles.device), of_turned)
    return (of_angles if needed[0] else None), (of_weights if needed[1] else None)


@contextmanager
def _added(parameter: Tensor, shift: float) -> Iterator[None]:
    """A parameter, changed in place for a while."""
    before = parameter.clone()
    parameter += shift
    yield
    parameter.copy_(before)


@lru_cache(maxsize=64)
def _angles_apart(ansatz: Ansatz) -> tuple[Ansatz, Tensor]:
    """The circuit with an angle of its own for every embedding gate, and the columns that these come from."""
    columns = ansatz.upload_index.reshape(ansatz.uploads, -1)[:, : ansatz.angles]
    return replace(ansatz, features="own"), torch.from_numpy(columns.flatten())
