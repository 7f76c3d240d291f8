"""Finite samples: the rate at which they converge, and how an engine with options is described."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from agreement import inputs

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose, make_engine
from quinr_pl.circuit.engines.shots import ShotsEngine
from quinr_pl.errors import QuinrError
from quinr_pl.network import QuINR

ANSATZ = Ansatz(qubits=4, angles=8)
CLASS = "quinr_pl.circuit.engines.shots.ShotsEngine"


def test_frequencies_converge_at_the_rate_of_one_over_the_root_of_shots():
    angles, weights, _ = inputs(ANSATZ, 64)
    angles, weights = angles.detach(), weights.detach()
    exact = choose("lightning").probabilities(ANSATZ, angles, weights)
    counts = [10**exponent for exponent in range(2, 7)]
    errors = []
    for shots in counts:
        found = ShotsEngine(shots, seed=5).probabilities(ANSATZ, angles, weights)
        errors.append(float((found - exact).square().mean().sqrt()))
    expected = [float((exact * (1 - exact)).mean() / shots) ** 0.5 for shots in counts]
    assert errors == pytest.approx(expected, rel=0.15)  # 1024 numbers tell a spread to 3 %
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.03)


@pytest.mark.parametrize(
    "described",
    [
        "shots=50,seed=2",
        "{shots: 50, seed: 2}",
        {"seed": 2, "shots": 50},
        {"class_path": CLASS, "init_args": {"shots": 50, "seed": 2}},
    ],
)
def test_an_engine_is_described_by_its_name_and_options(described):
    engine = QuINR(qubits=2, angles=3, engine=described).quantum_layers()[0].engine
    assert isinstance(engine, ShotsEngine)
    assert (engine.shots, engine.seed) == (50, 2)


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ("shots=0", "engine shots with shots 0: must lie between 1 and 16777216"),
        ("shots=many", "engine shots with shots many: must be a whole number"),
        ("shots=5,gradients=none", "engine shots with gradients none: choose one of measured, exact"),
        ("shots=5,colour=2", "engine shots=5,colour=2: shots has the options shots, seed, gradients"),
        ({"seed": 1, "colour": 2}, "none of seed, colour is one of auto, cpu"),
        ("cpu=3", "engine cpu=3: cpu has no options"),
        ("{shots", "engine {shots: give a name, or a name and options"),
        ("no.such.Engine", "engine no.such.Engine: cannot import no.such"),
        ({"class_path": CLASS, "init_args": {"colour": 3}}, "and not colour"),
    ],
)
def test_bad_descriptions_are_refused_in_one_line(described, told):
    with pytest.raises(QuinrError) as refused:
        make_engine(described)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_draws_do_not_depend_on_torchs_threads_or_generator():
    angles, weights, _ = inputs(ANSATZ, 300, torch.float32)
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(count)
            results.append(ShotsEngine(100, seed=3).probabilities(ANSATZ, angles.detach(), weights.detach()))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)
