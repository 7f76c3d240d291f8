"""The study of what circuits can draw, in its quick form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies import circuits
from quinr_pl.experiments import sweep


@pytest.mark.slow
def test_circuits_go_on_where_they_were_interrupted(tmp_path, figures, capsys, monkeypatch):
    performed = []
    perform = sweep.perform

    def first_two(run_job, job, *further):
        if len(performed) == 2:
            raise KeyboardInterrupt
        performed.append(job)
        perform(run_job, job, *further)

    monkeypatch.setattr(sweep, "perform", first_two)
    with pytest.raises(KeyboardInterrupt):
        figures(circuits.main)
    assert not (tmp_path / "data.json").exists()
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.quinr")}
    assert len(kept) == 2
    monkeypatch.setattr(sweep, "perform", perform)
    found = figures(circuits.main)
    assert kept.items() <= {path: path.read_bytes() for path in tmp_path.rglob("*.quinr")}.items()
    assert {row["network"] for row in found["fits"]} == {"base", "no CRZ"}
    assert np.allclose(found["circuits"]["no CRZ"]["entanglement"], 0)
    assert np.mean(found["circuits"]["base"]["entanglement"]) > 0.3
    state = [np.mean(line["state"]) for line in found["gradients"]["qubits"]]
    assert state[0] > 2 * state[1]
    assert "| no CRZ | 48 | 1, 16 |" in capsys.readouterr().out
