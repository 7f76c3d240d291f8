from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from math import pi

import numpy as np
import pytest
import torch
from agreement import TOLERANCE, assert_agree, inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import completed

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines import lightning_vjp
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.errors import QuinrError

NEEDS_TRITON = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
BATCHED = ("cpu", "torch", pytest.param("triton", marks=NEEDS_TRITON))
SLOW_TRITON = pytest.param("triton", marks=(NEEDS_TRITON, pytest.mark.slow))
"""For tests of many circuits, each of which takes Triton's interpreter a second."""
THOROUGH = ("cpu", "torch", SLOW_TRITON)
TRITON_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
"""Triton's interpreter stands in for a GPU; see conftest.py."""


def device_of(name):
    return TRITON_DEVICE if name == "triton" else "cpu"


def run(name, ansatz, batch, dtype=torch.float64, seed=0):
    """Probabilities, and the gradients of their random linear function."""
    angles, weights, cotangent = inputs(ansatz, batch, dtype, seed, device_of(name))
    probabilities = choose(name, angles.device).probabilities(ansatz, angles, weights)
    (probabilities * cotangent).sum().backward()
    return probabilities.detach().cpu(), angles.grad.cpu(), weights.grad.cpu()


GRID = [
    Ansatz(qubits=1, angles=1),
    Ansatz(qubits=1, angles=4, uploads=3, layers=2),
    Ansatz(qubits=2, angles=3, uploads=2, layers=2),
    Ansatz(qubits=3, angles=9, uploads=2, layers=1, features="own"),
    Ansatz(qubits=3, angles=2, uploads=3, layers=3, pairs="ring"),
    Ansatz(qubits=3, angles=5, uploads=3, layers=2, pairs="none", shuffle=False),
    Ansatz(qubits=4, angles=12, uploads=3, layers=2),
]
LARGE = [
    Ansatz(qubits=5, angles=12, uploads=2, layers=1, pairs="unordered"),
    Ansatz(qubits=6, angles=13, uploads=2, layers=2, features="own", pairs="ring"),
    Ansatz(qubits=7, angles=7, uploads=1, layers=1),
    Ansatz(qubits=8, angles=17, uploads=2, layers=1, pairs="unordered"),
]


@pytest.fixture(
    scope="module",
    params=[*GRID, *(pytest.param(ansatz, marks=pytest.mark.slow) for ansatz in LARGE)],
    ids=lambda a: f"{a.qubits}q-{a.angles}-{a.uploads}x{a.layers}",
)
def reference(request):
    return request.param, run("lightning", request.param, batch=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", [*BATCHED, "lightning_vjp"])
def test_engines_agree_with_lightning(reference, name, dtype):
    ansatz, expected = reference
    assert_agree(run(name, ansatz, 3, dtype), expected, TOLERANCE[dtype])


def test_lightning_takes_float32():
    ansatz = Ansatz(qubits=2, angles=4)
    found = run("lightning", ansatz, 2, torch.float32)
    assert all(value.dtype == torch.float32 for value in found)
    assert_agree(found, run("lightning", ansatz, 2), 1e-5)


circuits = st.builds(
    Ansatz,
    qubits=st.integers(1, 5),
    angles=st.integers(1, 12),
    uploads=st.integers(1, 3),
    layers=st.integers(1, 3),
    features=st.sampled_from(["shared", "own"]),
    pairs=st.sampled_from(["ordered", "unordered", "ring", "none"]),
    shuffle_seed=st.integers(0, 9),
    shuffle=st.booleans(),
)


@pytest.mark.parametrize("name", THOROUGH)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(ansatz=circuits, batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_random_circuits_agree_with_lightning(name, ansatz, batch, seed):
    expected = run("lightning", ansatz, batch, seed=seed)
    assert_agree(run(name, ansatz, batch, torch.float64, seed), expected, 1e-12)
    assert_agree(run(name, ansatz, batch, torch.float32, seed), expected, 1e-5)


@pytest.mark.parametrize("name", [*THOROUGH, "lightning"])
def test_gradients_are_those_of_finite_differences(name):
    ansatz = Ansatz(qubits=2, angles=3)
    batch = 1 if name == "lightning" else 3
    angles, weights, _ = inputs(ansatz, batch, device=device_of(name))
    engine = choose(name, angles.device)
    assert torch.autograd.gradcheck(lambda a, w: engine.probabilities(ansatz, a, w), (angles, weights))


@pytest.mark.parametrize("name", THOROUGH)
def test_result_of_a_coordinate_does_not_depend_on_its_batch(name):
    ansatz = Ansatz(qubits=3, angles=7, uploads=2)
    angles, weights, cotangent = inputs(ansatz, 200, torch.float32, device=device_of(name))
    engine = choose(name, angles.device)

    def results(batch):
        part = angles.detach()[:batch].clone().requires_grad_()
        found = engine.probabilities(ansatz, part, weights.detach())
        assert found.shape == (batch, 8)
        (found * cotangent[:batch]).sum().backward()
        return found.detach(), part.grad

    whole = results(200)
    tolerance = 0.0 if name == "cpu" else 1e-6
    for batch in (0, 1, 15, 16, 17, 63, 64, 65):
        for found, expected in zip(results(batch), whole, strict=True):
            torch.testing.assert_close(found, expected[:batch], rtol=0, atol=tolerance)


def test_results_do_not_depend_on_threads(wake_all_threads):
    ansatz = Ansatz(qubits=3, angles=7, uploads=2)
    batch = 20_000
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(run("cpu", ansatz, batch, torch.float32))
            again = run("cpu", ansatz, batch, torch.float32)
            assert all(torch.equal(a, b) for a, b in zip(results[-1], again, strict=True))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    torch.testing.assert_close(results[0][2], results[1][2])


@pytest.mark.parametrize("name", [*BATCHED, "lightning", "lightning_vjp", "shots"])
def test_an_empty_batch_is_fine(name):
    ansatz = Ansatz(qubits=2, angles=4)
    angles, weights, _ = inputs(ansatz, 0, torch.float32, device=device_of(name))
    probabilities = choose(name, angles.device).probabilities(ansatz, angles, weights)
    assert probabilities.shape == (0, 4)
    probabilities.sum().backward()
    assert weights.grad is not None
    assert not weights.grad.any()


@pytest.mark.parametrize("name", [*BATCHED, "lightning"])
def test_chosen_states_only(name):
    ansatz = Ansatz(qubits=3, angles=4)
    angles, weights, _ = inputs(ansatz, 3, device=device_of(name))
    engine = choose(name, angles.device)
    every = engine.probabilities(ansatz, angles, weights)
    assert engine.probabilities(ansatz, angles, weights, states=()).shape == (3, 0)
    some = engine.probabilities(ansatz, angles, weights, states=(7, 2))
    torch.testing.assert_close(some, every[:, [7, 2]])


@pytest.mark.parametrize("name", BATCHED)
def test_inputs_in_any_memory_layout(name):
    ansatz = Ansatz(qubits=2, angles=4, uploads=2)
    angles, weights, cotangent = inputs(ansatz, 5, device=device_of(name))
    engine = choose(name, angles.device)
    expected = engine.probabilities(ansatz, angles, weights)
    strided = angles.detach().t().contiguous().t().requires_grad_()
    found = engine.probabilities(ansatz, strided, weights.detach().flip(0).flip(0))
    torch.testing.assert_close(found, expected)
    (found * cotangent).sum().backward()
    (expected * cotangent).sum().backward()
    torch.testing.assert_close(strided.grad, angles.grad)
    strided.grad = None
    engine.probabilities(ansatz, strided, weights)[:, 0].sum().backward()
    assert strided.grad.isfinite().all()


def test_lightning_without_the_qnode_falls_back_to_it(monkeypatch):
    ansatz = Ansatz(qubits=2, angles=3)
    assert lightning_vjp.available()
    expected = run("lightning_vjp", ansatz, 2)
    monkeypatch.setattr(lightning_vjp, "available", lambda: False)
    assert_agree(run("lightning_vjp", ansatz, 2), expected, 1e-12)


def test_a_changed_private_interface_is_noticed(monkeypatch):
    monkeypatch.setattr(lightning_vjp._Simulator, "gradient", lambda *_: 1 / 0)
    assert not lightning_vjp.available.__wrapped__()
    monkeypatch.setattr(lightning_vjp._Simulator, "gradient", lambda self, *_: np.zeros(len(self.columns)))
    assert not lightning_vjp.available.__wrapped__()


@NEEDS_TRITON
def test_triton_gives_more_qubits_than_it_can_hold_to_torch():
    ansatz = Ansatz(qubits=9, angles=9)
    assert_agree(run("triton", ansatz, 2), run("torch", ansatz, 2), 1e-12)  # rounded apart on a GPU


@pytest.mark.parametrize("name", [*BATCHED, "lightning", "lightning_vjp", "shots"])
def test_unfit_tensors_are_refused(name):
    ansatz = Ansatz(qubits=2, angles=4)
    angles, weights, _ = inputs(ansatz, 3, device=device_of(name))
    engine = choose(name, angles.device)
    with pytest.raises(QuinrError, match=r"angles of shape \(3, 3\): needs \(batch, 4\)"):
        engine.probabilities(ansatz, angles[:, :3], weights)
    with pytest.raises(QuinrError, match=r"weights of shape \(1, 1, 9\): needs \(1, 1, 10\)"):
        engine.probabilities(ansatz, angles, weights[..., 1:])
    with pytest.raises(QuinrError, match="both must be float32 or both float64"):
        engine.probabilities(ansatz, angles.float(), weights)
    with pytest.raises(QuinrError, match="basis state 4"):
        engine.probabilities(ansatz, angles, weights, states=[4])


@pytest.mark.slow
def test_compiled_code_is_kept_on_disk(tmp_path):
    """Two processes: the first compiles and says so, the second finds the machine code."""
    program = (
        "import torch; from quinr_pl.circuit.engines.registry import choose;"
        "from quinr_pl.circuit.ansatz import Ansatz;"
        "choose('cpu').probabilities(Ansatz(1, 1), torch.zeros(3, 1), torch.zeros(1, 1, 4))"
    )
    messages = []
    for _ in range(2):
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
        done = completed([sys.executable, "-c", program], env=environment)
        assert done.returncode == 0, done.stderr
        messages.append(done.stderr)
    assert "compiling the CPU engine for 1 qubits in float32" in messages[0]
    assert messages[1] == ""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("turn", [0.0, pi / 2, pi, 2 * pi, 1e-5, 1e-20, 100.0])
@pytest.mark.parametrize("name", ["cpu", SLOW_TRITON])
def test_special_angles(name, dtype, turn):
    """Matrices that are diagonal, antidiagonal or nearly so have no polar form worth the name."""
    ansatz = Ansatz(qubits=3, angles=7, uploads=2, layers=2)
    angles, weights, cotangent = inputs(ansatz, 4)
    special = torch.full_like(angles, turn)
    special[1] *= -1
    special[2, ::2] = 0
    special[3, 1::2] = 0
    for shared in (torch.full_like(weights, turn), weights.detach()):
        results = []
        for engine, to in ((name, dtype), ("torch", torch.float64)):
            device = device_of(engine)
            rounded = [tensor.detach().to(dtype) for tensor in (special, shared)]
            leaves = [tensor.to(device, to).clone().requires_grad_() for tensor in rounded]
            probabilities = choose(engine, device).probabilities(ansatz, *leaves)
            (probabilities * cotangent.to(device, to)).sum().backward()
            results.append([probabilities.detach().cpu(), *(leaf.grad.cpu() for leaf in leaves)])
        assert_agree(*results, 3e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("size", [100.0, 9e3, 1e5, 1e8, 1e12, 3e37])
@pytest.mark.parametrize("name", THOROUGH)
def test_large_angles_are_reduced(name, size, dtype):
    """Each number is what it is, however large: PennyLane's simulator in double precision says the same."""
    ansatz = Ansatz(qubits=3, angles=7, uploads=2, layers=2)
    angles, weights, cotangent = inputs(ansatz, 20)
    large, heavy = torch.full_like(angles, 1.0), torch.full_like(weights, 1.0)
    large[::3], heavy[..., ::2] = size, size
    given = [(angles * large).detach(), (weights * heavy).detach()]
    results = []
    for engine, to in ((name, dtype), ("lightning_vjp", torch.float64)):
        device = device_of(engine)
        leaves = [t.to(dtype).to(device, to).clone().requires_grad_() for t in given]
        probabilities = choose(engine, device).probabilities(ansatz, *leaves)
        (probabilities * cotangent.to(device, to)).sum().backward()
        results.append([probabilities.detach().cpu(), *(leaf.grad.cpu() for leaf in leaves)])
    assert_agree(*results, 3e-5 if dtype == torch.float32 else 1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", THOROUGH)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # Triton's interpreter computes by NumPy
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_angles_that_are_no_numbers_give_none(name, bad, dtype):
    ansatz = Ansatz(qubits=3, angles=7, uploads=2)
    angles, weights, _ = (t.detach() for t in inputs(ansatz, 40, dtype, device=device_of(name)))
    engine = choose(name, angles.device)
    clean = engine.probabilities(ansatz, angles, weights)
    spoilt = angles.clone()
    spoilt[5, 3] = bad
    found = engine.probabilities(ansatz, spoilt, weights)
    assert found[5].isnan().all()
    others = [row for row in range(40) if row != 5]
    torch.testing.assert_close(found[others], clean[others], rtol=0, atol=0)
    for position in range(weights.shape[-1]):
        spoilt = weights.clone()
        spoilt[1, 0, position] = bad
        assert engine.probabilities(ansatz, angles, spoilt).isnan().any()
