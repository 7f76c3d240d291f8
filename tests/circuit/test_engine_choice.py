"""Which engine runs: by name, by device, and in the place of another."""

from __future__ import annotations

import copy
import pickle
from importlib.util import find_spec

import pytest
import torch

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cuda import engine as batched_cuda
from quinr_pl.circuit.engines.protocol import Engine
from quinr_pl.circuit.engines.registry import ENGINES, choose, make_engine
from quinr_pl.circuit.engines.shots import ShotsEngine
from quinr_pl.circuit.engines.triton import engine as batched_triton
from quinr_pl.errors import QuinrError
from quinr_pl.network import QuINR
from quinr_pl.network.layers.quantum_layer import fast_copy

NEEDS_TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
TRITON_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ANSATZ = Ansatz(qubits=2, angles=3)


def given(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, 3), torch.randn(ANSATZ.weights_shape)


@pytest.mark.parametrize("name", ["cpu", "torch", "lightning", "lightning_vjp", "shots"])
def test_an_engine_is_chosen_by_its_name(name):
    engine = choose(name)
    assert engine.name == name
    assert choose(engine) is engine
    assert engine.exact == (name != "shots")


@NEEDS_TRITON
def test_triton_is_chosen_by_its_name():
    assert choose("triton", TRITON_DEVICE).name == "triton"


def test_auto_is_the_fastest_exact_engine_of_the_device():
    assert choose("auto", "cpu").name == "cpu"
    assert choose("auto", "meta").name == "torch"
    angles, weights = given(5)
    assert torch.equal(
        make_engine("auto").probabilities(ANSATZ, angles, weights),
        make_engine("cpu").probabilities(ANSATZ, angles, weights),
    )


def test_unknown_names_and_devices_are_refused():
    with pytest.raises(QuinrError, match="engine gpu: choose from auto, cpu, cuda, triton, torch"):
        choose("gpu")
    with pytest.raises(QuinrError, match="engine cpu on a cuda device: its kernels are for the CPU"):
        choose("cpu", "cuda")
    with pytest.raises(QuinrError, match="engine triton on a meta device: its kernels are for CUDA"):
        choose("triton", "meta")
    with pytest.raises(QuinrError, match="engine shots on a meta device"):
        choose("shots", "meta")


def test_auto_and_triton_when_kernels_fail(monkeypatch):
    """Without a driver, or with wrong results, auto takes torch and an explicit choice says why."""
    monkeypatch.setattr(batched_cuda, "failure", lambda device: "no driver found")
    monkeypatch.setattr(batched_triton, "failure", lambda device: "no driver found")
    assert choose("auto", "cuda").name == "torch"
    with pytest.raises(QuinrError, match="engine triton on a cuda device: no driver found; choose auto"):
        choose("triton", "cuda")


@NEEDS_TRITON
def test_kernels_that_compute_wrongly_are_noticed(monkeypatch):
    device = torch.device(TRITON_DEVICE)
    find = batched_triton.failure.__wrapped__
    assert find(device) == ""
    with torch.device("meta"):
        assert find(device) == ""
    monkeypatch.setattr(batched_triton._Circuit, "__call__", lambda _, a, w: (a.sum() + w.sum()).expand(5, 4))
    assert "differ" in find(device)
    monkeypatch.setattr(batched_triton._Circuit, "__call__", lambda *_: 1 / 0)
    assert find(device) == "division by zero"


class FasterEngine(Engine):
    """An engine of somebody's own, exact or not as it is told."""

    name = "faster"
    exact = True

    def probabilities(self, ansatz, angles, weights, states=None):
        raise AssertionError("it runs")


def test_an_engine_of_ones_own_has_a_name_too(monkeypatch):
    monkeypatch.setattr(ENGINES, "_loaded", dict(ENGINES._loaded))
    ENGINES.register("faster", FasterEngine)
    assert isinstance(QuINR(engine="faster").circuits[0].engine, FasterEngine)
    with pytest.raises(AssertionError, match="it runs"):
        QuINR(engine="faster")(torch.zeros(1, 2))


@pytest.mark.parametrize("exact", [True, False])
def test_only_exact_engines_are_replaced(exact):
    engine = FasterEngine()
    engine.exact = exact
    network = QuINR(qubits=2, angles=3, engine=engine, stages=2)
    copied = fast_copy(network)
    assert all((layer.engine.name == "auto") == exact for layer in copied.quantum_layers())
    for tried in (network, copied):
        with torch.no_grad():
            if exact:
                assert tried(torch.zeros(2, 2)).isfinite().all()
            else:
                with pytest.raises(AssertionError, match="it runs"):
                    tried(torch.zeros(2, 2))
    assert all(layer.engine is engine for layer in network.quantum_layers())


def test_frequencies_of_shots_have_the_mean_and_spread_of_measurements():
    angles, weights = given(4000)
    angles[:] = angles[0]
    expected = choose("lightning").probabilities(ANSATZ, angles[:1].double(), weights.double())[0]
    found = ShotsEngine(shots=50).probabilities(ANSATZ, angles, weights).double()
    torch.testing.assert_close(50 * found, (50 * found).round(), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.sum(1), torch.ones(4000).double(), rtol=0, atol=1e-6)
    spread = torch.diag(expected) - expected[:, None] * expected  # of a multinomial distribution
    torch.testing.assert_close(found.mean(0), expected, rtol=0, atol=4 * (0.25 / 50 / 4000) ** 0.5)
    torch.testing.assert_close(50 * found.T.cov(), spread, rtol=0, atol=0.05)


def test_shots_have_the_gradients_of_the_probabilities():
    leaves = [tensor.requires_grad_() for tensor in given(5)]
    cotangent = torch.randn(5, 2)
    found, expected = (
        torch.autograd.grad(engine.probabilities(ANSATZ, *leaves, states=[3, 1]), leaves, cotangent)
        for engine in (ShotsEngine(shots=3, gradients="exact"), choose("torch"))
    )
    for gradient, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=0, atol=1e-5)


def test_shots_are_drawn_anew_and_go_on_in_copies():
    angles, weights = given(9)

    def draw(engine: Engine) -> torch.Tensor:
        return engine.probabilities(ANSATZ, angles, weights)

    engine = ShotsEngine(shots=100, seed=1)
    first = draw(engine)
    others = copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))
    second = draw(engine)
    assert not torch.equal(first, second)
    assert all(torch.equal(draw(other), second) for other in others)
    assert torch.equal(draw(ShotsEngine(shots=100, seed=1)), first)
    assert not torch.equal(draw(ShotsEngine(shots=100, seed=2)), first)


@pytest.mark.parametrize("options", [{"shots": 0}, {"shots": 2**24 + 1}, {"seed": -1}])
def test_options_of_shots_have_bounds(options):
    with pytest.raises(QuinrError, match=r"engine shots with \w+ -?\d+: must"):
        ShotsEngine(**options)
