"""The study of quINR beside classical networks of its size, in its quick form."""

from __future__ import annotations

import pytest

from benchmarks.studies import twins
from benchmarks.studies.networks import WIRE
from quinr_pl.network import COIN, QuINR


@pytest.mark.slow
def test_twins_are_of_equal_size(figures, capsys):
    found = figures(twins.main)
    quinr, wire = found["sizes"]["quINR"], found["sizes"]["WIRE"]
    for equal in twins.EQUAL:
        assert wire[equal][equal] == pytest.approx(quinr[equal][equal], rel=0.1)
    assert wire["multiply_adds"]["parameters"] > 1.5 * quinr["parameters"]["parameters"]
    for row in found["fits"]:
        if row["signal"] == "street-0":  # of two axes and one channel, as the sizes are
            assert row["parameters"] == found["sizes"][row["network"]][row["equal"]]["parameters"]
    out = capsys.readouterr().out
    assert "| equal parameters | quINR | WIRE |" in out
    assert "| equal multiply-adds: quINR less |" in out


def test_multiply_adds_are_those_of_the_matrices_and_circuits():
    assert twins.multiply_adds(COIN(layers=2, width=5)) == 2 * 5 + 5 * 5 + 5 * 3
    assert twins.multiply_adds(WIRE(layers=2, width=5)) == 2 * 5 + 4 * 5 * 5 + 2 * 5 * 3
    circuit = QuINR(qubits=4, angles=8, uploads=2, features="own", readout="linear")
    assert twins.multiply_adds(circuit) > 2 * 16 + 16 * 8 * 4  # embeddings, and rotations of 16 amplitudes
