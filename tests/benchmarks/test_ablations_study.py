"""The study of what parts of quINR are worth, in its quick form."""

from __future__ import annotations

import pytest

from benchmarks.studies import ablations


@pytest.mark.slow
def test_ablations_compare_with_the_base(figures, capsys):
    found = figures(ablations.main)
    parameters = {row["network"]: row["parameters"] for row in found["fits"]}
    base, other = (parameters[f"behind SIREN; {name}"] for name in ("rotations; trained", "SIREN layers; 0"))
    assert other == pytest.approx(base, rel=0.05)
    assert "| rotations: trained | 507 |" in capsys.readouterr().out


def test_networks_under_two_names_are_fitted_once():
    groups = ablations._groups("behind SIREN")
    variants = {
        f"{group}; {label}": tree for group, labels in groups.items() for label, tree in labels.items()
    }
    names = ablations._named_once(variants)
    same = [name for name, first in names.items() if first == "folds, equal qubits; 2"]
    assert {"uploads; own", "entanglement; all", "rotations; trained", "SIREN layers; 2"} < set(same)
    assert names["rotations; frozen"] == "rotations; frozen"
