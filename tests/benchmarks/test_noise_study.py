"""The study of shots and noise, in its quick form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies.noise import circuits_of_a_step, main
from quinr_pl.circuit.ansatz import Ansatz


@pytest.mark.slow
def test_quick_figures_are_in_the_order_of_physics(tmp_path: Path, capsys):
    data, plot = tmp_path / "noise.json", tmp_path / "noise.png"
    main(["--quick", "--data", str(data), "--plot", str(plot)])
    found = json.loads(data.read_text())
    assert plot.stat().st_size > 1000
    for figures in found["files"].values():
        few, many = (np.mean(figures["shots"][shots]) for shots in ("100", "10000"))
        assert few < many
        assert many == pytest.approx(figures["exact"], abs=1)
        assert figures["depolarizing"]["0.001"] == pytest.approx(figures["exact"], abs=1)
        assert figures["amplitude_damping"]["0.1"] < figures["amplitude_damping"]["0.001"]
    assert found["training"]["shots=100"]["circuits"] > 0
    assert "| kodim02 | circuits | 100 shots | 10,000 shots |" in capsys.readouterr().out


def test_a_step_takes_two_circuits_for_each_rotation_and_four_for_each_crz():
    ansatz = Ansatz(qubits=3, angles=6, uploads=2, pairs="ring")
    assert circuits_of_a_step(ansatz) == 1 + 2 * (12 + 2 * 12) + 4 * 2 * 3
