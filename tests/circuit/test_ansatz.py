from __future__ import annotations

from math import pi

import numpy as np
import pytest
import torch

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.drawing import draw
from quinr_pl.circuit.engines.lightning import qml
from quinr_pl.errors import QuinrError


def test_embedding_comes_first_and_alternates_between_rx_and_rz():
    gates = list(Ansatz(qubits=2, angles=5).gates())
    assert [(gate.name, gate.wires, gate.index) for gate in gates[:5]] == [
        ("RX", (0,), (0,)),
        ("RX", (1,), (1,)),
        ("RZ", (0,), (2,)),
        ("RZ", (1,), (3,)),
        ("RX", (0,), (4,)),
    ]
    assert [gate.name for gate in gates[5:]] == ["RZ"] * 2 + ["RX"] * 2 + ["CRZ"] * 2 + ["RZ"] * 2 + [
        "RX"
    ] * 2
    assert [gate.index for gate in gates[5:]] == [(0, 0, position) for position in range(10)]


def test_shared_features_are_shuffled_from_the_second_upload_on():
    ansatz = Ansatz(qubits=4, angles=10, uploads=3)
    first, *later = ansatz.upload_index.reshape(3, -1)
    assert first.tolist() == [*range(10), -1, -1]
    for columns in later:
        assert columns.tolist() != first.tolist()
        assert sorted(columns[:10].tolist()) == list(range(10))
        assert columns[10:].tolist() == [-1, -1]
    assert ansatz.upload_index.tolist() == Ansatz(qubits=4, angles=10, uploads=3).upload_index.tolist()
    other = Ansatz(qubits=4, angles=10, uploads=3, shuffle_seed=1)
    assert ansatz.upload_index.tolist() != other.upload_index.tolist()
    alike = Ansatz(qubits=4, angles=10, uploads=3, shuffle=False).upload_index
    assert alike.tolist() == [alike[0].tolist()] * 3


def test_own_features_are_consecutive():
    ansatz = Ansatz(qubits=2, angles=3, uploads=2, features="own")
    assert ansatz.features_count == 6
    assert ansatz.upload_index.reshape(2, -1).tolist() == [[0, 1, 2, -1], [3, 4, 5, -1]]


@pytest.mark.parametrize(
    ("pairs", "qubits", "expected"),
    [
        ("ordered", 3, [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]),
        ("unordered", 3, [(0, 1), (0, 2), (1, 2)]),
        ("ring", 4, [(0, 1), (1, 2), (2, 3), (3, 0)]),
        ("ring", 2, [(0, 1)]),
        ("ring", 1, []),
        ("ordered", 1, []),
        ("none", 3, []),
    ],
)
def test_pairs(pairs, qubits, expected):
    ansatz = Ansatz(qubits=qubits, angles=1, pairs=pairs)
    assert list(ansatz.wire_pairs) == expected
    assert ansatz.weights_shape == (1, 1, 4 * qubits + len(expected))


def test_every_weight_and_every_angle_is_used():
    ansatz = Ansatz(qubits=3, angles=7, uploads=2, layers=2, features="own")
    gates = list(ansatz.gates())
    assert {gate.index for gate in gates if gate.source == "weight"} == set(np.ndindex(*ansatz.weights_shape))
    assert {gate.index[0] for gate in gates if gate.source == "angle"} == set(range(ansatz.features_count))


def test_weight_periods_leave_probabilities_alone(probabilities_of):
    ansatz = Ansatz(qubits=3, angles=4, layers=2)
    generator = torch.Generator().manual_seed(0)
    angles = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    weights = torch.randn(ansatz.weights_shape, generator=generator, dtype=torch.float64)
    before = probabilities_of(ansatz, angles, weights)
    for position, period in enumerate(ansatz.weight_periods):
        moved = weights.clone()
        moved[0, 0, position] += period
        torch.testing.assert_close(probabilities_of(ansatz, angles, moved), before)
    moved[0, 0, 6] += 2 * pi  # a CRZ by 2π is no identity
    assert not torch.allclose(probabilities_of(ansatz, angles, moved), before)


@pytest.fixture
def probabilities_of():
    from quinr_pl.circuit.engines.torch_adjoint import TorchEngine

    return TorchEngine().probabilities


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"qubits": 0, "angles": 1}, "qubits = 0"),
        ({"qubits": 2, "angles": 0}, "angles = 0"),
        ({"qubits": 2, "angles": 2, "uploads": -1}, "uploads = -1"),
        ({"qubits": 2, "angles": 2, "layers": 0}, "layers = 0"),
        ({"qubits": 40, "angles": 2}, "qubits = 40"),
        ({"qubits": 2, "angles": 2, "pairs": "all"}, "pairs = 'all'"),
        ({"qubits": 2, "angles": 2, "features": "none"}, "features = 'none'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(QuinrError, match=message):
        Ansatz(**arguments)


def test_drawing_shows_every_gate():
    import matplotlib.pyplot as plt

    figure = draw(Ansatz(qubits=2, angles=3))
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert sum("RX" in label for label in labels) == 2 + 4
    assert sum("RZ" in label for label in labels) == 1 + 4 + 2
    plt.close(figure)


def test_gate_order_is_that_of_the_paper():
    """Against a circuit written down from the paper's text, not from the ansatz."""
    generator = np.random.default_rng(0)
    qubits, h = 3, generator.normal(size=8)
    rz1, rx1, rz2, rx2 = generator.normal(size=(4, qubits))
    crz = {(a, b): generator.normal() for a in range(3) for b in range(3) if a != b}

    @qml.qnode(qml.device("default.qubit", wires=qubits))
    def by_hand():
        for wire in range(3):
            qml.RX(h[wire], wire)
        for wire in range(3):
            qml.RZ(h[3 + wire], wire)
        for wire in range(2):
            qml.RX(h[6 + wire], wire)
        for wire in range(3):
            qml.RZ(rz1[wire], wire)
            qml.RX(rx1[wire], wire)
        for (control, target), angle in crz.items():
            qml.ctrl(qml.RZ(angle, target), control)
        for wire in range(3):
            qml.RZ(rz2[wire], wire)
            qml.RX(rx2[wire], wire)
        return qml.probs(wires=range(3))

    from quinr_pl.circuit.engines.lightning import LightningEngine

    ansatz = Ansatz(qubits=3, angles=8)
    weights = np.concatenate([rz1, rx1, list(crz.values()), rz2, rx2]).reshape(1, 1, -1)
    found = LightningEngine().probabilities(ansatz, torch.tensor(h[None]), torch.tensor(weights))
    np.testing.assert_allclose(found[0].numpy(), by_hand(), atol=1e-12)
