"""The study of shots and noise, in its quick form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies.noise import circuits_of_a_step, main
from quinr_pl.circuit.ansatz import Ansatz


@pytest.mark.slow
def test_quick_figures_are_in_the_order_of_physics(figures, capsys):
    found = figures(main)
    for measured in found["files"].values():
        few, many = (np.mean(measured["shots"][shots]) for shots in ("100", "10000"))
        assert few < many
        assert many == pytest.approx(measured["exact"], abs=1)
        assert measured["depolarizing"]["0.001"] == pytest.approx(measured["exact"], abs=1)
        assert measured["amplitude_damping"]["0.1"] < measured["amplitude_damping"]["0.001"]
    assert found["training"]["shots=100"]["circuits"] > 0
    assert "| kodim02 | circuits | 100 shots | 10,000 shots |" in capsys.readouterr().out


def test_a_step_takes_two_circuits_for_each_rotation_and_four_for_each_crz():
    ansatz = Ansatz(qubits=3, angles=6, uploads=2, pairs="ring")
    assert circuits_of_a_step(ansatz) == 1 + 2 * (12 + 2 * 12) + 4 * 2 * 3
