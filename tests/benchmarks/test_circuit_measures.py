"""Measures of circuits against values that are known."""

from __future__ import annotations

import math

import numpy as np
import pennylane as qml
import pytest
import torch

from benchmarks.studies.circuit_measures import (
    BINS,
    bandwidth,
    entanglement,
    expressibility,
    gradient_variances,
    highest_frequency,
    random_states,
    spectrum_along_coordinate,
    spectrum_of_angle,
)
from quinr_pl.circuit.ansatz import Ansatz


def test_one_rotation_draws_one_frequency():
    # RX(t) on |0>, then rotations: each probability is a + b cos(t + c).
    shares = spectrum_of_angle(Ansatz(qubits=1, angles=1), draws=3, seed=0)
    assert shares[1:] == pytest.approx([1, 0], abs=1e-12)


@pytest.mark.parametrize(("features", "highest"), [("own", 1), ("shared", 3)])
def test_an_angle_has_as_many_frequencies_as_uploads(features, highest):
    ansatz = Ansatz(qubits=2, angles=4, uploads=3, features=features)
    assert highest_frequency(spectrum_of_angle(ansatz, 2, 0)) == highest
    along = spectrum_along_coordinate(ansatz, 2, 0)
    assert highest_frequency(along) == 12  # gates of the embeddings
    assert 1 < bandwidth(along) < 12


def test_spectra_are_those_of_pennylane():
    ansatz = Ansatz(qubits=2, angles=2, uploads=2, shuffle=False)
    generator = torch.Generator().manual_seed(0)
    phases = 2 * math.pi * torch.rand(1, 2, generator=generator, dtype=torch.float64)
    weights = 2 * math.pi * torch.rand(1, *ansatz.weights_shape, generator=generator, dtype=torch.float64)

    @qml.qnode(qml.device("default.qubit", wires=2))
    def probabilities(x):
        for gate in ansatz.gates():
            turned = gate.source == "angle"
            angle = x[0] + phases[0, gate.index[0]].item() if turned else weights[0][gate.index].item()
            getattr(qml, gate.name)(angle, wires=gate.wires)
        return qml.probs()

    coefficients = [qml.fourier.coefficients(lambda x, s=s: probabilities(x)[s], 1, 4) for s in range(4)]
    power = np.sum(np.abs(coefficients)[:, :5] ** 2, 0)
    found = spectrum_along_coordinate(ansatz, 1, 0)
    assert found == pytest.approx([*power / power[1:].sum(), 0], abs=1e-12)


def test_expressibility_of_known_states():
    # All pairs are alike: every fidelity is 1, in the last of the bins.
    alike = torch.zeros(20, 4, dtype=torch.complex128)
    alike[:, 2] = 1
    assert expressibility(alike) == pytest.approx(3 * math.log(BINS))
    haar = torch.randn(40_000, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    haar /= haar.norm(dim=1, keepdim=True)
    assert expressibility(haar) < 2 * BINS / len(haar)


def test_entanglement_of_known_states():
    states = torch.zeros(3, 8, dtype=torch.complex128)
    states[0, 5] = 1  # a product
    states[1, [0, 7]] = math.sqrt(1 / 2)  # GHZ
    states[2, [1, 2, 4]] = math.sqrt(1 / 3)  # W
    assert [entanglement(state[None]) for state in states] == pytest.approx([0, 1, 8 / 9])
    apart = random_states(Ansatz(qubits=3, angles=3, pairs="none"), 5, 0)
    assert entanglement(apart) == pytest.approx(0, abs=1e-12)
    assert torch.allclose(apart.abs().square().sum(1), torch.ones(5, dtype=torch.float64))


def test_gradients_of_a_qubit_are_those_of_parameter_shifts():
    ansatz = Ansatz(qubits=2, angles=2)
    generator = torch.Generator().manual_seed(3)
    angles = 2 * math.pi * torch.rand(4, 2, generator=generator, dtype=torch.float64)
    weights = 2 * math.pi * torch.rand(4, *ansatz.weights_shape, generator=generator, dtype=torch.float64)

    @qml.qnode(qml.device("default.qubit", wires=2))
    def values(rotations, embedded):
        for gate in ansatz.gates():
            angle = embedded[gate.index[0]] if gate.source == "angle" else rotations[gate.index]
            getattr(qml, gate.name)(angle, wires=gate.wires)
        return qml.expval(qml.PauliZ(0))

    gradients = []
    for rotations, embedded in zip(weights, angles, strict=True):
        rotations = rotations.requires_grad_()
        gradients.append(torch.autograd.grad(values(rotations, embedded), rotations)[0])
    expected = torch.stack(gradients).var(0).mean().item()
    found = gradient_variances(ansatz, 4, 3)
    assert found["qubit"] == pytest.approx(expected)
    assert 0 < found["state"] < 1
