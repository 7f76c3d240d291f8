"""PennyLane devices as engines, by name and arguments."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from agreement import assert_agree, inputs

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose, make_engine
from quinr_pl.errors import QuinrError

ANSATZ = Ansatz(qubits=3, angles=5, uploads=2)
DEVICES = ["default.qubit", "lightning.qubit", "default.mixed"]


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_without_shots_computes_the_probabilities_and_their_gradients(device):
    *leaves, cotangent = inputs(ANSATZ, 2)
    engine = make_engine({"device": device})
    assert not engine.exact
    results = []
    for run in (engine, choose("torch")):
        values = run.probabilities(ANSATZ, *leaves, states=[7, 2])
        results.append([values.detach(), *torch.autograd.grad(values, leaves, cotangent[:, :2])])
    assert_agree(*results, 1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_shots_on_a_device_follow_from_the_seed(device):
    angles, weights, _ = (tensor.detach() for tensor in inputs(ANSATZ, 20, torch.float32))
    described = {"device": device, "shots": 400, "seed": 3}

    def draw(engine):
        return engine.probabilities(ANSATZ, angles, weights)

    engine = make_engine(described)
    first = draw(engine)
    copies = copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))
    second = draw(engine)
    assert not torch.equal(first, second)
    assert all(torch.equal(draw(other), second) for other in copies)
    assert torch.equal(draw(make_engine(f"device={device},shots=400,seed=3")), first)
    torch.testing.assert_close(400 * first, (400 * first).round(), rtol=0, atol=1e-3)
    exact = choose("lightning").probabilities(ANSATZ, angles, weights)
    assert float((first - exact).abs().max()) < 6 * 0.5 / 400**0.5
    assert engine.report() == f"engine device ran 60 circuits of 400 shots on {device}"


def test_arguments_go_to_the_device():
    angles, weights, _ = (tensor.detach() for tensor in inputs(ANSATZ, 3))
    first, again, other = (
        make_engine({"device": "default.qubit", "shots": 50, "arguments": {"seed": seed}}).probabilities(
            ANSATZ, angles, weights
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ("device", "engine device: device needs device; give it, as in device=VALUE"),
        (
            "device=no.such",
            "device no.such with no arguments: DeviceError: Device no.such does not exist",
        ),
        ("{device: default.qubit, arguments: {colour: 1}}", "unexpected keyword argument 'colour'"),
        ("device=default.qubit,arguments=3", "engine device with arguments 3: give a mapping"),
        ("device=default.qubit,shots=0", "engine device with shots 0: must lie between"),
        ("device=default.qubit,noise=1", "device has the options device, shots, seed, arguments"),
    ],
)
def test_what_no_device_can_do_is_refused_in_one_line(described, told):
    with pytest.raises(QuinrError) as refused:
        make_engine(described)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_device_that_cannot_run_the_circuit_is_told_in_one_line():
    ansatz = Ansatz(qubits=3, angles=1)
    engine = make_engine({"device": "default.qutrit"})  # knows no rotations
    with pytest.raises(QuinrError, match=r"engine device default.qutrit: \w+: .*; choose another device"):
        engine.probabilities(ansatz, torch.ones(1, 1), torch.ones(ansatz.weights_shape))
