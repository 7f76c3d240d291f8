"""The study of the circuits of other papers, in its quick form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks.studies import ansatze
from benchmarks.studies.signals import synthetic
from quinr_pl.network import QuINR

SIGNAL = synthetic("noise", 2, size=12)


@pytest.mark.slow
def test_circuits_of_other_papers_are_compared_in_files(figures, capsys):
    found = figures(ansatze.main)
    parameters = {row["network"]: row["parameters"] for row in found["fits"] if row["equal"] == "parameters"}
    assert parameters.keys() == {"quINR", "QVF", "QIREN"}
    for row in found["fits"]:
        assert 3 < row["psnr"] < 60
        assert row["bytes"] > 1.2 * row["parameters"]  # of 12 bits each
    out = capsys.readouterr().out
    assert "| equal parameters | quINR | QVF | QIREN |" in out
    assert "| equal work: less quINR |" in out


@pytest.mark.parametrize("equal", ansatze.EQUAL)
@pytest.mark.parametrize("name", ["QIREN behind SIREN", "QVF", "SIREN"])
def test_sizes_are_equal(name, equal):
    ours = ansatze._size(ansatze._network("quINR", SIGNAL, "parameters"))
    assert ansatze._size(ansatze._network(name, SIGNAL, equal))[equal] == pytest.approx(ours[equal], rel=0.1)


def test_gates_are_counted_in_every_circuit():
    qiren = QuINR(design="qiren", qubits=3, angles=3, uploads=2, layers=1, pairs="ring", stages=2)
    assert ansatze._size(qiren)["gates"] == 2 * (2 * 3 + 3 * (3 * 3 + 3))


def test_differences_are_paired_by_signal_and_seed():
    psnr = {"quINR": [30.0, 31.0, 20.0, 21.5], "SIREN": [29.0, 30.5, 19.5, 20.0]}
    rows = [
        {"equal": "parameters", "network": name, "signal": "ab"[at // 2], "seed": at % 2, "psnr": value}
        | {"parameters": 5, "bytes": 9, "operations": 7, "gates": 0}
        for name, values in psnr.items()
        for at, value in enumerate(values)
    ]
    settings = {"learning_rate": 0.01, "omega0": 10.0}
    found = {"fits": rows, "settings": {equal: dict.fromkeys(psnr, settings) for equal in ansatze.EQUAL}}
    less = np.subtract(psnr["SIREN"], psnr["quINR"])
    p = ttest_rel(psnr["SIREN"], psnr["quINR"]).pvalue
    mean, deviation = less.mean(), less.std(ddof=1)
    line = f"| SIREN | {mean:.2f} ± {deviation:.2f} | {mean / deviation:+.1f} | {p:.3f} | 0 of 4 |"
    assert line in ansatze.tables(found)
