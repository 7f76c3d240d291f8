"""Gradients of circuits that are only run, and the count of them."""

from __future__ import annotations

import copy

import pennylane as qml
import pytest
import torch
from agreement import assert_agree, inputs

from quinr_pl.circuit.ansatz import Ansatz, Gate
from quinr_pl.circuit.engines.parameter_shift import ParameterShiftEngine
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.circuit.engines.shots import ShotsEngine
from quinr_pl.errors import QuinrError

ANSATZ = Ansatz(qubits=3, angles=5, uploads=2)  # re-uploads shared angles, shuffled


class Exact(ParameterShiftEngine):
    """Exact values, so that gradients must be exact as well."""

    name = "exact"

    def measure(self, ansatz, angles, weights):
        return choose("torch").probabilities(ansatz, angles, weights)


@pytest.mark.parametrize("features", ["shared", "own"])
def test_shifts_give_the_gradients_of_the_adjoint_method(features):
    ansatz = Ansatz(qubits=3, angles=5, uploads=2, features=features)
    *leaves, cotangent = inputs(ansatz, 4)
    found, expected = (
        torch.autograd.grad(engine.probabilities(ansatz, *leaves), leaves, cotangent)
        for engine in (Exact(), choose("lightning"))
    )
    assert_agree(found, expected, 1e-12)


@pytest.mark.parametrize("name", ["RX", "RZ", "CRZ"])
def test_rules_are_those_of_pennylane(name):
    gate = Gate(name, (0, 1)[: 1 + (name == "CRZ")], "weight", (0,))
    [frequencies] = getattr(qml, name)(0.3, wires=list(gate.wires)).parameter_frequencies
    rule = qml.gradients.generate_shift_rule(frequencies)
    expected = {round(float(shift), 9): float(coefficient) for coefficient, shift in rule}
    found = {round(shift, 9): coefficient for coefficient, shift in gate.shifts}
    assert found == pytest.approx(expected)


def test_circuits_are_counted_for_each_coordinate_and_shift():
    angles, weights, _ = inputs(ANSATZ, 4)
    engine = Exact()
    engine.probabilities(ANSATZ, angles.detach(), weights.detach())
    assert engine.circuits == 4
    copied = copy.deepcopy(engine)
    copied.probabilities(ANSATZ, angles, weights)[:, 0].sum().backward()
    gates = list(ANSATZ.gates())
    controlled = sum(gate.name == "CRZ" for gate in gates)
    assert engine.circuits == 4 + 4 * (1 + 2 * (len(gates) - controlled) + 4 * controlled)
    assert engine.report() == f"engine exact ran {engine.circuits:,} circuits"


def test_only_the_gradients_that_are_asked_for_are_measured():
    angles, weights, _ = inputs(ANSATZ, 1)
    engine = Exact()
    engine.probabilities(ANSATZ, angles, weights.detach())[:, 1].sum().backward()
    assert engine.circuits == 1 + 2 * ANSATZ.uploads * ANSATZ.angles


def test_an_empty_batch_runs_nothing():
    engine = Exact()
    angles, weights, _ = inputs(ANSATZ, 0)
    probabilities = engine.probabilities(ANSATZ, angles, weights)
    probabilities.sum().backward()
    assert probabilities.shape == (0, 8)
    assert engine.circuits == 0
    assert not weights.grad.any()


def test_second_derivatives_are_refused():
    angles, weights, _ = inputs(ANSATZ, 1)
    with pytest.raises(QuinrError, match="engine exact: its gradients are measured"):
        torch.autograd.grad(Exact().probabilities(ANSATZ, angles, weights)[0, 0], angles, create_graph=True)


def test_measured_gradients_are_right_in_the_mean():
    angles, weights, _ = inputs(ANSATZ, 1)
    repeated = angles.detach().expand(400, -1)
    engines = ShotsEngine(shots=2000, seed=1), choose("torch")
    found, expected = (
        torch.autograd.grad(engine.probabilities(ANSATZ, repeated, weights)[:, 3].sum() / 400, weights)[0]
        for engine in engines
    )
    # Each of the terms has a standard deviation of at most 0.5 / sqrt(2000 * 400).
    torch.testing.assert_close(found, expected, rtol=0, atol=5 * 0.5 / (2000 * 400) ** 0.5)
    assert not torch.equal(found, expected)
