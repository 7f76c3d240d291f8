"""What only the engine ``triton`` has: blocks, programs, tables, and little around its kernels."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from agreement import TOLERANCE, assert_agree, inputs

from benchmarks.gpu.operations import Operations
from quinr_pl.circuit.ansatz import DESIGNS, Ansatz, Design
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.circuit.engines.triton.tables import fits, tables

if find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from quinr_pl.circuit.engines.triton import call, kernels, trained

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
"""Triton's interpreter stands in for a GPU; see conftest.py."""
TWO_FOLDS = Ansatz(qubits=3, angles=6, layers=3)
OWN = Ansatz(qubits=4, angles=10, uploads=2, layers=2, features="own")
LEADING = Ansatz(3, 5, uploads=2, layers=2, pairs="strong", design="qiren")


def run(name, ansatz, batch, dtype=torch.float64, states=None):
    device = DEVICE if name == "triton" else "cpu"
    angles, weights, cotangent = inputs(ansatz, batch, dtype, device=device)
    probabilities = choose(name, device).probabilities(ansatz, angles, weights, states)
    (probabilities * cotangent[:, : probabilities.shape[1]]).sum().backward()
    return probabilities.detach().cpu(), angles.grad.cpu(), weights.grad.cpu()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("ansatz", [TWO_FOLDS, OWN, LEADING], ids=["two folds", "own angles", "leading"])
def test_programs_with_several_blocks_agree_with_torch(monkeypatch, ansatz, dtype):
    monkeypatch.setattr(call, "PROGRAMS", 2)
    assert_agree(run("triton", ansatz, 150, dtype), run("torch", ansatz, 150), TOLERANCE[dtype])


@pytest.mark.parametrize("states", [(5,), (7, 2), (3, 3, 0)])
def test_states_in_any_order_and_more_than_once(states):
    found, expected = (run(name, TWO_FOLDS, 40, states=states) for name in ("triton", "torch"))
    assert_agree(found, expected, 1e-12)


def test_sums_do_not_change_from_call_to_call():
    for first, second in zip(*(run("triton", OWN, 150, torch.float32) for _ in range(2)), strict=True):
        assert torch.equal(first, second)


def test_slopes_that_are_views_are_read_as_they_lie():
    results = []
    for name in ("triton", "torch"):
        angles, weights, cotangent = inputs(TWO_FOLDS, 40, device=DEVICE)
        probabilities = choose(name, DEVICE).probabilities(TWO_FOLDS, angles.flip(0)[1::2], weights)
        probabilities.backward(cotangent.t().contiguous().t()[::2])
        results.append([probabilities.detach(), angles.grad, weights.grad])
    assert_agree(*results, 1e-12)


def test_a_step_is_four_launches_and_nothing_else(monkeypatch):
    launches = []

    class Recorded:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, grid):
            return lambda **_: launches.append(self.name)

    for module, name in (
        (trained, "prepare"),
        (kernels, "forward"),
        (kernels, "backward"),
        (trained, "finish"),
    ):
        monkeypatch.setattr(module, name, Recorded(name))
    angles, weights, cotangent = (tensor.detach() for tensor in inputs(OWN, 70, torch.float32, device=DEVICE))
    call.Call(OWN, tuple(range(16)), angles, weights)  # makes the tables
    with Operations() as operations:
        circuit = call.Call(OWN, tuple(range(16)), angles, weights)
        circuit.forward(keep=True)
        circuit.backward(cotangent)
    assert launches == ["prepare", "forward", "backward", "finish"]
    assert operations.on_device == 0, operations.counts


def test_tables_of_a_circuit():
    found = tables(Ansatz(qubits=2, angles=3, uploads=2, shuffle=False), torch.device("cpu"))
    assert found.first_rx
    assert found.folds.tolist() == [2, 2, -1]
    embedding = found.columns[found.folds > 0]
    np.testing.assert_array_equal(embedding.numpy(), [[[0, 1], [2, 3]]] * 2)
    assert not tables(LEADING, torch.device("cpu")).first_rx


def test_trained_gates_between_angles_go_to_torch(monkeypatch):
    """No design has them: an RY of an angle is an RX between constant RZ."""
    monkeypatch.setitem(DESIGNS, "turned", Design(("RY", "RZ", "RY"), "sine", ("RZ", "RX"), "CRZ"))
    ansatz = Ansatz(qubits=2, angles=6, design="turned")
    assert not fits(ansatz)
    assert fits(OWN)
    assert_agree(run("triton", ansatz, 3), run("torch", ansatz, 3), 1e-12)
