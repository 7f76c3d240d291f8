"""Ansätze of other papers, held against PennyLane's own templates and simulators."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pennylane as qml
import pytest
import torch
from agreement import TOLERANCE, assert_agree, inputs

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.drawing import draw
from quinr_pl.circuit.engines.cuda import engine as cuda
from quinr_pl.circuit.engines.lightning import apply_gates
from quinr_pl.circuit.engines.registry import choose, make_engine
from quinr_pl.circuit.openqasm import openqasm
from quinr_pl.errors import QuinrError


def qiren(qubits, uploads=2, layers=2, **changes):
    given = {"qubits": qubits, "angles": qubits, "uploads": uploads, "layers": layers, "shuffle": False}
    return Ansatz(**{**given, "pairs": "strong", "design": "qiren", **changes})


def qvf(qubits, layers=2, pairs="unordered"):
    return Ansatz(qubits, 2**qubits, layers=layers, pairs=pairs, design="qvf")


CIRCUITS = [
    *(qiren(qubits) for qubits in (1, 2, 4)),
    qiren(3, uploads=3, layers=3, features="own", angles=5),
    qiren(4, uploads=1, layers=1, pairs="none"),
    *(qvf(qubits) for qubits in (1, 2, 4)),
    qvf(3, layers=3, pairs="strong"),
    Ansatz(qubits=4, angles=6, uploads=2, layers=3, pairs="strong"),
]


def by_hand(ansatz):
    """The circuit from PennyLane's templates, differentiated by its own backpropagation."""

    def circuit(angles, weights):
        wires = range(ansatz.qubits)
        if ansatz.design == "qiren":
            for upload, columns in enumerate(ansatz.upload_index.reshape(ansatz.uploads, -1)):
                qml.StronglyEntanglingLayers(
                    weights[upload].unflatten(1, (3, -1)).transpose(1, 2), wires, imprimitive=qml.CZ
                )
                for at, column in enumerate(columns):
                    if column >= 0:
                        qml.RZ(angles[:, column], at % ansatz.qubits)
            last = weights[ansatz.uploads].unflatten(1, (3, -1)).transpose(1, 2)
            qml.StronglyEntanglingLayers(last, wires, imprimitive=qml.CZ)
        else:
            qml.AmplitudeEmbedding(angles, wires, normalize=False, validate_norm=False)
            for layer in weights[0]:
                qml.AngleEmbedding(layer, wires, rotation="Y")
                for a in wires:
                    for b in range(a + 1, ansatz.qubits):
                        qml.CZ([a, b])
        return qml.probs(wires=wires)

    return qml.QNode(circuit, qml.device("default.qubit", wires=ansatz.qubits), diff_method="backprop")


def differentiated(function, ansatz, batch, dtype=torch.float64):
    angles, weights, cotangent = inputs(ansatz, batch, dtype)
    probabilities = function(angles, weights)
    (probabilities * cotangent).sum().backward()
    return probabilities.detach(), angles.grad, weights.grad


@pytest.mark.parametrize(
    "ansatz", [qiren(1), qiren(2), qiren(4), qiren(3, 3, 3), qvf(1), qvf(3), qvf(4, 3)], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_cpu_engine_agrees_with_the_templates_of_pennylane(ansatz, dtype):
    expected = differentiated(by_hand(ansatz), ansatz, 5)
    found = differentiated(lambda *given: choose("cpu").probabilities(ansatz, *given), ansatz, 5, dtype)
    assert_agree(found, expected, TOLERANCE[dtype])


@pytest.mark.parametrize("ansatz", CIRCUITS, ids=str)
@pytest.mark.parametrize("name", ["cpu", "torch", "triton", "lightning_vjp"])
def test_engines_agree_with_lightning(ansatz, name):
    if name == "triton":
        pytest.importorskip("triton")
    expected = differentiated(lambda *given: choose("lightning").probabilities(ansatz, *given), ansatz, 2)
    found = differentiated(lambda *given: choose(name).probabilities(ansatz, *given), ansatz, 2)
    assert_agree(found, expected, 1e-12)


def test_shapes_of_weights():
    assert qiren(4, uploads=3).weights_shape == (4, 2, 12)
    assert qvf(3, layers=5).weights_shape == (1, 5, 3)
    assert (qiren(4).observables, qvf(3).observables, Ansatz(3, 3).observables) == (4, 3, 8)


def test_expectations_are_those_of_pennylane():
    ansatz = qiren(3)
    angles, weights, _ = inputs(ansatz, 1)

    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit():
        apply_gates(ansatz, angles[0].detach(), weights.detach())
        return [qml.expval(qml.PauliZ(wire)) for wire in range(3)]

    found = choose("cpu").probabilities(ansatz, angles, weights)[0].detach().numpy()
    np.testing.assert_allclose(ansatz.pauli_z @ found, np.array(circuit()), atol=1e-12)


@pytest.mark.parametrize("ansatz", [qiren(3), qvf(3)], ids=str)
def test_devices_and_noise_free_simulators_run_the_same_gates(ansatz):
    angles, weights, _ = inputs(ansatz, 2)
    angles = angles.detach() / angles.detach().norm(dim=1, keepdim=True)  # devices refuse other amplitudes
    expected = choose("cpu").probabilities(ansatz, angles, weights.detach())
    for engine in ("device=default.qubit", "noisy", "noisy=0,trajectories=3"):
        found = make_engine(engine).probabilities(ansatz, angles, weights.detach())
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_noise_follows_every_gate():
    ansatz = qiren(2)
    angles, weights = (given.detach() for given in inputs(ansatz, 1)[:2])

    @qml.qnode(qml.device("default.mixed", wires=2))
    def circuit():
        for gate in ansatz.gates():
            given = {"angle": angles[0], "weight": weights}.get(gate.source)
            turn = [] if given is None else [float(given[gate.index])]
            getattr(qml, gate.name)(*turn, wires=gate.wires)
            for wire in gate.wires:
                qml.DepolarizingChannel(0.05, wires=wire)
        return qml.probs(wires=range(2))

    found = make_engine("noisy=0.05").probabilities(ansatz, angles, weights)
    np.testing.assert_allclose(found[0].numpy(), circuit(), atol=1e-7)


def test_gradients_by_parameter_shift_are_exact_but_for_amplitudes():
    ansatz = qiren(2)
    found = differentiated(lambda *given: make_engine("noisy").probabilities(ansatz, *given), ansatz, 2)
    expected = differentiated(lambda *given: choose("cpu").probabilities(ansatz, *given), ansatz, 2)
    assert_agree(found, expected, 1e-10)
    angles, weights, _ = inputs(qvf(2), 2)
    values = make_engine("noisy").probabilities(qvf(2), angles, weights)
    with pytest.raises(QuinrError, match="engine noisy: amplitudes of the design qvf"):
        values[:, 0].sum().backward()


def test_the_program_names_the_gates():
    program = openqasm(qiren(3), np.zeros(qiren(3).weights_shape), [0.1, 0.2, 0.3])
    assert program.count("\nry(") == 3 * 2 * 3
    assert program.count("\ncz q[") == 3 * 2 * 3
    with pytest.raises(QuinrError, match="no gate that embeds amplitudes"):
        openqasm(qvf(2), np.zeros(qvf(2).weights_shape))


@pytest.mark.parametrize("ansatz", [qiren(3), qvf(3), CIRCUITS[-1]], ids=str)
def test_kernels_of_cuda_leave_gates_that_they_do_not_know_to_others(ansatz, monkeypatch):
    monkeypatch.setattr(cuda, "_other", lambda device: choose("torch"))
    monkeypatch.setattr(cuda, "_Circuit", None)  # which needs a GPU
    found = differentiated(lambda *given: cuda.CudaEngine().probabilities(ansatz, *given), ansatz, 2)
    expected = differentiated(lambda *given: choose("cpu").probabilities(ansatz, *given), ansatz, 2)
    assert_agree(found, expected, 1e-12)


def test_drawing_shows_the_gates():
    figure = draw(qiren(2))
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert sum("RY" in label for label in labels) == 2 * 2
    plt.close(figure)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angles": 4, "design": "none"}, "design = 'none': choose one of quinr, qiren, qvf"),
        ({"angles": 3, "design": "qvf"}, "the 4 amplitudes of 2 qubits once; give 4 and 1"),
        ({"angles": 4, "uploads": 2, "design": "qvf"}, "the 4 amplitudes"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(QuinrError, match=message):
        Ansatz(qubits=2, **arguments)
