"""The circuit as a layer among others: in containers, copies, precisions, and with hooks around it."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.errors import QuinrError
from quinr_pl.network import COIN, LatentQuINR, QuINR
from quinr_pl.network.latent.context_model import ContextModel
from quinr_pl.network.layers.embedding import SinusoidalEmbedding
from quinr_pl.network.layers.quantum_layer import QuantumLayer

ANSATZ = Ansatz(qubits=2, angles=3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_the_layer_takes_angles_and_gives_probabilities():
    layer = QuantumLayer(ansatz=ANSATZ)
    angles = torch.randn(5, 3)
    torch.testing.assert_close(
        layer(angles), choose("lightning").probabilities(ANSATZ, angles, layer.weight), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0), (4, 3, 2)])
@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_angles_have_any_leading_axes(shape, outputs):
    layer = QuantumLayer(ansatz=ANSATZ, outputs=outputs)
    angles = torch.randn(*shape, 3, requires_grad=True)
    found = layer(angles)
    rows = choose("torch").probabilities(ANSATZ, angles.reshape(-1, 3), layer.weight)
    expected = rows[:, -(outputs or 4) :].reshape(*shape, outputs or 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    cotangent = torch.randn(found.shape)
    gradients = [
        torch.autograd.grad(values, [angles, layer.weight], cotangent) for values in (found, expected)
    ]
    for gradient, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-5)


def test_the_circuit_comes_as_arguments_or_as_a_whole():
    layer = QuantumLayer(
        qubits=3, angles=7, uploads=2, layers=2, features="own", pairs="ring", shuffle_seed=5
    )
    assert layer.ansatz == Ansatz(3, 7, 2, 2, "own", "ring", 5)
    assert QuantumLayer(qubits=3).ansatz == Ansatz(qubits=3, angles=3)
    assert "qubits=3" in repr(nn.Sequential(layer))
    for arguments in ({}, {"ansatz": ANSATZ, "uploads": 2}):
        with pytest.raises(QuinrError, match="needs either an ansatz or qubits"):
            QuantumLayer(**arguments)
    with pytest.raises(QuinrError, match="needs either an ansatz or qubits"):
        QuantumLayer(angles=3)
    for outputs in (0, 5):
        with pytest.raises(QuinrError, match=f"outputs = {outputs}: must lie between 1 and 4"):
            QuantumLayer(qubits=2, outputs=outputs)
    with pytest.raises(QuinrError, match="qubits = 0"):
        QuantumLayer(qubits=0)


def test_weights_start_within_their_bound():
    weight = QuantumLayer(qubits=4, layers=20, weight_init=0.3).weight
    assert 0.25 < weight.abs().max() <= 0.3


def test_the_layer_in_a_sequence_trains():
    network = nn.Sequential(nn.Linear(2, 3), QuantumLayer(ansatz=ANSATZ, engine="cpu"), nn.Linear(4, 1))
    inputs, targets = torch.randn(16, 2), torch.rand(16, 1)
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    losses = []
    for _ in range(40):
        loss = (network(inputs) - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert network(inputs).shape == (16, 1)
    assert losses[-1] < 0.7 * losses[0]


def test_copies_are_the_same_layer():
    network = nn.Sequential(nn.Linear(2, 3), QuantumLayer(ansatz=ANSATZ))
    inputs = torch.randn(5, 2)
    expected = network(inputs)
    fresh = nn.Sequential(nn.Linear(2, 3), QuantumLayer(ansatz=ANSATZ))
    fresh.load_state_dict(network.state_dict())
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network)), fresh):
        assert torch.equal(other(inputs), expected)


def test_precisions_and_devices():
    network = nn.Sequential(nn.Linear(2, 3), QuantumLayer(ansatz=ANSATZ))
    inputs = torch.randn(5, 2)
    expected = network(inputs)
    torch.testing.assert_close(copy.deepcopy(network).double()(inputs.double()).float(), expected)
    for dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(QuinrError, match="both must be float32 or both float64"):
            copy.deepcopy(network).to(dtype)(inputs.to(dtype))
    assert copy.deepcopy(network).to("meta")(inputs.to("meta")).shape == (5, 4)
    with pytest.raises(QuinrError, match=r"needs \(\.\.\., 3\)"):
        network[1](torch.randn(4))


@pytest.mark.parametrize(
    "network", [nn.Sequential(nn.Linear(2, 3), QuantumLayer(ansatz=ANSATZ)), QuINR(sine_layers=1)]
)
def test_autocast_has_no_part_in_the_circuit(network):
    inputs = torch.rand(50, 2)
    expected = network(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(inputs)
    assert found.isfinite().all()
    (found.float().sum()).backward()
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.5)


class Shifted(SinusoidalEmbedding):
    """An embedding of somebody's own."""

    def forward(self, inputs):
        return super().forward(inputs) + 0.5


def replace(embedding):
    embedding.__class__ = Shifted


def override(embedding):
    original = embedding.forward
    embedding.forward = lambda inputs: original(inputs) + 0.5


CHANGES = {
    "subclass": replace,
    "method of its own": override,
    "hook after": lambda embedding: embedding.register_forward_hook(
        lambda module, inputs, angles: angles + 0.5
    ),
    "hook before": lambda embedding: embedding.register_forward_pre_hook(
        lambda module, inputs: (inputs[0] + 0.25,)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("grad", [True, False])
def test_an_embedding_of_ones_own_is_called(change, grad):
    network = QuINR(qubits=2, angles=3, engine="cpu")
    coordinates = torch.rand(5, 2)
    change(network.embeddings[0])
    with torch.set_grad_enabled(grad):
        found = network(coordinates)
    circuit, readout = network.circuits[0], network.readout
    angles = network.embeddings[0](coordinates)
    probabilities = choose("torch").probabilities(network.ansatz, angles, circuit.weight)
    torch.testing.assert_close(found, readout(probabilities @ readout.matrix.t()), rtol=0, atol=1e-5)


def test_hooks_of_gradients_and_for_all_modules_run():
    network = QuINR(qubits=2, angles=3, engine="cpu")
    called = []
    handles = [
        network.embeddings[0].register_full_backward_hook(lambda *_: called.append("backward")),
        network.embeddings[0].register_full_backward_pre_hook(lambda *_: called.append("before")),
    ]
    network(torch.rand(5, 2, requires_grad=True)).sum().backward()
    assert called == ["before", "backward"]
    for handle in handles:
        handle.remove()
    every = nn.modules.module.register_module_forward_hook(lambda module, *_: called.append(type(module)))
    try:
        network(torch.rand(5, 2))
    finally:
        every.remove()
    assert SinusoidalEmbedding in called


def test_parametrized_weights_are_those_that_count():
    network = QuINR(qubits=2, angles=3, engine="cpu")
    parametrizations.weight_norm(network.embeddings[0])
    coordinates = torch.rand(5, 2)
    with torch.no_grad():
        network.embeddings[0].parametrizations.weight.original0.mul_(1.5)
    found = network(coordinates)
    network.embeddings[0].register_forward_hook(lambda *_: None)  # the module is called
    torch.testing.assert_close(found, network(coordinates), rtol=0, atol=1e-5)


def latent(**options):
    network = LatentQuINR(height=20, width=12, grids=3, filters=2, **options)
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "skip"),
        ({}, "filters.0"),
        ({}, "filters.1"),
        ({}, "pyramid.interpolation"),
        ({}, "synthesis"),
        ({}, "synthesis.embedding"),
        ({}, "synthesis.circuit"),
        ({}, "synthesis.readout"),
        ({"synthesis": "relu"}, "synthesis.hidden"),
        ({"synthesis": "relu"}, "synthesis.readout"),
    ],
)
def test_hooks_of_latent_networks_run(options, name):
    network, coordinates = latent(**options), torch.zeros(240, 2)
    expected = network(coordinates)
    called = []
    handle = network.get_submodule(name).register_forward_hook(lambda *_: called.append(name))
    torch.testing.assert_close(network(coordinates), expected, rtol=1e-4, atol=1e-4)
    assert called
    handle.remove()
    network.get_submodule(name).register_forward_hook(lambda module, inputs, result: 0 * result)
    assert not torch.allclose(network(coordinates), expected, atol=1e-2)


@pytest.mark.parametrize("name", ["hidden", "output"])
def test_hooks_of_the_context_model_run(name):
    model, grids = ContextModel(2, 3, 4), [torch.randn(6, 5), torch.randn(3, 3)]
    expected = model(grids)
    called = []
    model.get_submodule(name).register_forward_hook(lambda *_: called.append(name))
    torch.testing.assert_close(model(grids), expected, rtol=1e-5, atol=1e-3)
    assert called == [name]


def test_hooks_of_coin_run():
    network, called = COIN(out_features=1), []
    expected = network(torch.rand(5, 2).fill_(0.3))
    network.output.register_forward_hook(lambda *_: called.append("output"))
    torch.testing.assert_close(network(torch.rand(5, 2).fill_(0.3)), expected)
    assert called == ["output"]


def test_filters_that_are_no_plain_convolutions_are_called():
    network, coordinates = latent(), torch.zeros(240, 2)
    expected = network(coordinates)
    dilated = nn.Conv2d(3, 3, 1, bias=False)
    dilated.weight.data.zero_()
    network.filters.append(dilated)

    class Cropped(nn.Module):
        def forward(self, values):
            return dilated(values)[..., 1:-1, 1:-1]

    network.filters[2] = Cropped()
    torch.testing.assert_close(network(coordinates), expected, rtol=1e-4, atol=1e-4)


def test_signals_of_networks_in_double_precision():
    network = QuINR()
    expected = network.signal(3, 9, (4, 5))
    torch.testing.assert_close(network.double().signal(3, 9, (4, 5)).float(), expected, rtol=0, atol=1e-4)
