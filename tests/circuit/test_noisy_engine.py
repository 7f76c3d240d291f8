"""Errors in gates and measurements, held against PennyLane's default.mixed."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from agreement import inputs

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose, make_engine
from quinr_pl.errors import QuinrError

ANSATZ = Ansatz(qubits=3, angles=5, uploads=2)
NOISE = [
    {"depolarizing": 0.05, "amplitude_damping": 0.0, "readout": 0.0},
    {"depolarizing": 0.0, "amplitude_damping": 0.08, "readout": 0.0},
    {"depolarizing": 0.0, "amplitude_damping": 0.0, "readout": 0.1},
    {"depolarizing": 0.02, "amplitude_damping": 0.03, "readout": 0.05},
    {"depolarizing": 1.0, "amplitude_damping": 0.0, "readout": 0.0},
]


def by_default_mixed(ansatz, angles, weights, depolarizing, amplitude_damping, readout):
    """Gates and channels one by one on PennyLane's density matrices."""
    operations = {"RX": qml.RX, "RZ": qml.RZ, "CRZ": qml.CRZ}

    @qml.qnode(qml.device("default.mixed", wires=ansatz.qubits))
    def circuit(angles):
        for gate in ansatz.gates():
            value = angles[gate.index[0]] if gate.source == "angle" else weights[gate.index]
            operations[gate.name](float(value), wires=list(gate.wires))
            for wire in gate.wires:
                qml.DepolarizingChannel(depolarizing, wires=wire)
                qml.AmplitudeDamping(amplitude_damping, wires=wire)
        for wire in range(ansatz.qubits):
            qml.BitFlip(readout, wires=wire)
        return qml.probs(wires=range(ansatz.qubits))

    return torch.from_numpy(np.stack([circuit(row) for row in angles]))


def given(ansatz, batch, dtype=torch.float64):
    return [tensor.detach() for tensor in inputs(ansatz, batch, dtype)[:2]]


def told(noise):
    return {"class_path": "quinr_pl.circuit.engines.noisy.NoisyEngine", "init_args": noise}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("pairs", ["ordered", "ring"])
def test_density_matrices_agree_with_default_mixed(noise, pairs):
    ansatz = Ansatz(qubits=3, angles=5, uploads=2, pairs=pairs)
    angles, weights = given(ansatz, 2)
    found = make_engine(told(noise)).probabilities(ansatz, angles, weights)
    expected = by_default_mixed(ansatz, angles, weights, **noise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("qubits", [1, 2, 4, 6, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_noise_it_is_exact(qubits, dtype):
    ansatz = Ansatz(qubits=qubits, angles=2 * qubits + 1, uploads=2)
    angles, weights = given(ansatz, 3, dtype)
    expected = choose("lightning").probabilities(ansatz, angles, weights)
    for engine in ("noisy", "noisy=0,trajectories=5"):
        found = make_engine(engine).probabilities(ansatz, angles, weights)
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("noise", NOISE)
def test_trajectories_converge_to_the_density_matrix(noise):
    angles, weights = given(ANSATZ, 4)
    expected = make_engine(told(noise)).probabilities(ANSATZ, angles, weights)
    errors = []
    for count in (50, 5000):
        engine = make_engine(told({**noise, "trajectories": count, "seed": 1}))
        found = engine.probabilities(ANSATZ, angles, weights)
        torch.testing.assert_close(found.sum(1), torch.ones(4).double(), rtol=0, atol=1e-9)
        errors.append(float((found - expected).square().mean().sqrt()))
    assert errors[1] < 0.25 / 5000**0.5 * 2  # a probability of a pure state has a spread of at most 1/2
    if noise["depolarizing"] or noise["amplitude_damping"]:
        assert errors[1] < errors[0] / 4  # 1/10 in the mean
    else:
        assert errors[0] < 1e-12  # nothing is drawn


def test_seven_qubits_take_trajectories_of_the_seed():
    ansatz = Ansatz(qubits=7, angles=7)
    angles, weights = given(ansatz, 2)
    engine = make_engine("noisy=0.01,seed=4")
    first, second = (engine.probabilities(ansatz, angles, weights) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(make_engine("noisy=0.01,seed=4").probabilities(ansatz, angles, weights), first)
    assert not torch.equal(make_engine("noisy=0.01,seed=5").probabilities(ansatz, angles, weights), first)


def test_gradients_are_those_of_the_noisy_circuit():
    ansatz = Ansatz(qubits=2, angles=3)
    angles, weights = (tensor.requires_grad_() for tensor in given(ansatz, 2))
    engine = make_engine("noisy=0.03,amplitude_damping=0.05,readout=0.02")

    def value(angles, weights):
        return engine.probabilities(ansatz, angles, weights)

    assert torch.autograd.gradcheck(value, (angles, weights), eps=1e-5, atol=1e-7)


def test_shots_are_drawn_from_the_noisy_distribution():
    angles, weights = given(ANSATZ, 1)
    repeated = angles.expand(500, -1)
    found = make_engine("noisy=0.05,readout=0.1,shots=200,seed=2").probabilities(ANSATZ, repeated, weights)
    torch.testing.assert_close(200 * found, (200 * found).round(), rtol=0, atol=1e-6)
    expected = make_engine("noisy=0.05,readout=0.1").probabilities(ANSATZ, angles, weights)[0]
    torch.testing.assert_close(found.mean(0), expected, rtol=0, atol=5 * 0.5 / (200 * 500) ** 0.5)


@pytest.mark.parametrize(
    "options",
    [
        "noisy=-0.1",
        "noisy=1.5",
        "noisy=much",
        "noisy=0,readout=2",
        "noisy=0,trajectories=0",
        "noisy=0,seed=-1",
    ],
)
def test_options_of_noise_have_bounds(options):
    with pytest.raises(QuinrError, match=r"engine noisy with \w+ \S+: must"):
        make_engine(options)
