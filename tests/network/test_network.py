from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from quinr_pl import network as networks
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, QuINR
from quinr_pl.network.layers.embedding import SinusoidalEmbedding
from quinr_pl.network.layers.readout import LastStatesReadout, LinearReadout, qrelu

VARIANTS = [
    ("QuINR", {}),
    ("QuINR", {"qubits": 3, "angles": 7, "features": "own", "readout": "linear", "pairs": "unordered"}),
    ("QuINR", {"qubits": 2, "angles": 3, "uploads": 2, "out_features": 1, "range_map": False}),
    ("QuINR", {"qubits": 3, "angles": 4, "stages": 2, "stage_norm": "standardized", "shuffle_seed": 3}),
    ("QuINR", {"qubits": 3, "angles": 4, "stages": 3, "stage_norm": "scaled", "readout": "linear"}),
    ("QuINR", {"qubits": 3, "angles": 4, "sine_layers": 3, "sine_width": 6, "readout": "linear"}),
    ("COIN", {"layers": 3, "width": 7, "out_features": 4, "omega0": 20.0}),
]


@pytest.fixture
def points() -> torch.Tensor:
    return torch.rand(11, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1


def build(name: str, arguments: dict, seed: int = 0):
    torch.manual_seed(seed)
    return getattr(networks, name)(**arguments)


@pytest.mark.parametrize(("name", "arguments"), VARIANTS)
def test_architecture_and_weights_determine_the_function(name, arguments, points):
    network = build(name, arguments)
    twin = build(name, network.architecture(), seed=1)
    assert not torch.equal(twin(points), network(points))
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin(points), network(points))
    assert network(points).shape == (11, network.out_features)


@pytest.mark.parametrize(("name", "arguments"), VARIANTS)
def test_a_shift_by_the_period_changes_nothing(name, arguments, points):
    network = build(name, arguments).double()
    points = points.double()
    before = network(points)
    parameters = dict(network.named_parameters())
    periods = network.parameter_periods()
    assert periods
    with torch.no_grad():
        for key, period in periods.items():
            parameters[key] += period.double() * torch.randint(-2, 3, parameters[key].shape)
    # Biases' periods are float32: omega0 times their rounding is what remains.
    assert torch.allclose(network(points), before, atol=1e-4)


def test_half_the_period_of_a_crz_matters(points):
    network = build("QuINR", {"qubits": 3, "angles": 6})
    before = network(points)
    crz = int(np.argmax(network.ansatz.weight_periods))
    with torch.no_grad():
        network.circuits[0].weight[0, 0, crz] += 2 * math.pi
    assert not torch.allclose(network(points), before, atol=1e-3)


def test_embedding_is_a_scaled_sine(points):
    embedding = SinusoidalEmbedding(2, 5, omega0=12.0, scale=0.7)
    weight, bias = embedding.weight.detach().numpy(), embedding.bias.detach().numpy()
    expected = 0.7 * np.sin(12.0 * (points.numpy() @ weight.T + bias))
    np.testing.assert_allclose(embedding(points).detach().numpy(), expected, atol=1e-5)


def test_qrelu_keeps_positive_values_and_folds_negative_ones():
    x = torch.tensor([0.0, 0.3, 1.0, -0.5, -2.0])
    assert qrelu(x).tolist() == pytest.approx([0.0, 0.3, 1.0, 0.995, 3.98])


def test_paper_readout_is_the_probability_of_the_last_states(points):
    network = build("QuINR", {"range_map": False, "qubits": 3, "angles": 6})
    everything = network.circuits[0](points, network.embeddings[0])
    assert everything.shape == (11, 8)
    assert torch.allclose(everything.sum(dim=1), torch.ones(11), atol=1e-5)
    assert torch.allclose(network(points), everything[:, -3:], atol=1e-6)


def test_linear_readout_starts_from_centred_probabilities():
    readout = LinearReadout(Ansatz(3, 3), out_features=2)
    uniform = torch.full((4, 8), 1 / 8)
    assert torch.allclose(readout(uniform @ readout.matrix.T), torch.full((4, 2), 0.5), atol=1e-6)


@pytest.mark.parametrize("hooked", [False, True], ids=["plain", "hooked"])
@pytest.mark.parametrize("design", ["quinr", "qiren"])  # of probabilities, and of expectations
def test_linear_readout_of_probabilities_is_that_of_combinations(design, hooked):
    """Whatever an engine gives; whoever hooks the module sees it called."""
    readout, called = LinearReadout(Ansatz(3, 3, design=design), out_features=2), []
    probabilities = torch.rand(5, 8).softmax(dim=1)
    expected = readout(probabilities @ readout.matrix.T)
    if hooked:
        readout.register_forward_hook(lambda *_: called.append(True))
    torch.testing.assert_close(readout.of_probabilities(probabilities), expected, rtol=0, atol=1e-6)
    assert called == [True] * hooked


def test_range_map_has_a_gain_and_a_bias_for_each_value():
    readout = LastStatesReadout(Ansatz(3, 3), out_features=2, range_map=True)
    assert list(readout.measured) == [6, 7]
    with torch.no_grad():
        readout.gain.copy_(torch.tensor([2.0, 1.0]))
        readout.bias.copy_(torch.tensor([0.1, -0.5]))
    values = readout(torch.tensor([[0.25, 0.25]]))
    assert values.tolist()[0] == pytest.approx([0.6, 1.99 * 0.25])


@pytest.mark.parametrize("readout", ["linear", "last_states"])
def test_every_engine_computes_the_same_network(readout, points):
    values = []
    for engine in ("cpu", "torch", "lightning"):
        torch.manual_seed(0)
        network = QuINR(qubits=3, angles=4, uploads=1, layers=1, readout=readout, stages=2, engine=engine)
        values.append(network(points[:2]))
    assert torch.allclose(values[0], values[2], atol=1e-5)
    assert torch.allclose(values[1], values[2], atol=1e-5)


def test_calibration_gives_each_stage_features_of_the_same_spread():
    network = build("QuINR", {"qubits": 4, "stages": 3, "stage_norm": "scaled", "uploads": 2})
    points = torch.rand(2000, 2) * 2 - 1
    network.calibrate(points)
    features = points
    for stage in range(2):
        features = network.stage_norm(network.circuits[stage](features, network.embeddings[stage]), stage)
        assert features.std().item() == pytest.approx(0.7, abs=1e-3)


def test_evaluate_in_blocks_equals_one_pass(points):
    network = build("QuINR", {})
    assert torch.allclose(network.evaluate(points, block=3), network(points).detach(), atol=1e-6)


def test_coin_counts_its_parameters():
    # 2 -> 20, four hidden layers 20 -> 20, 20 -> 3, each with biases.
    assert COIN(layers=5, width=20).parameter_count() == 60 + 4 * 420 + 63


@pytest.mark.parametrize(
    "arguments",
    [
        {"qubits": 0},
        {"angles": 0},
        {"engine": "abacus"},
        {"omega0": 0.0},
        {"stages": 0},
        {"sine_layers": -1},
        {"sine_width": 0},
        {"log_range": -1},
        {"log_range": 17},
        {"out_features": 3, "qubits": 1},
    ],
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(QuinrError, match=next(iter(arguments)) if "engine" not in arguments else "abacus"):
        QuINR(**arguments)
