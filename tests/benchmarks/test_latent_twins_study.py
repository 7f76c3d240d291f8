"""The study of what the circuit of latent networks is worth, in its quick form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies import latent_twins
from quinr_pl.network import LatentQuINR


def test_the_twin_is_beside_the_circuit_on_every_crop(figures, capsys):
    found = figures(latent_twins.main)
    fits = {(row["network"], row["crop"], row["draw"]): row for row in found["fits"]}
    assert len(fits) == 2 * 2 * 2
    weights = {row["network"]: row["weights"] for row in fits.values()}
    usual = LatentQuINR(height=32, width=48, grids=4, finest=0, **latent_twins._USUAL)
    assert weights["circuit"] == sum(weight.numel() for weight in usual.weights().values())
    assert weights["ReLU"] == pytest.approx(weights["circuit"], rel=0.02)
    costs = np.array([row["cost"] for row in found["fits"]]).reshape(2, 2, 2)  # by draw, crop and network
    expected = 100 * (costs[..., 1] / costs[..., 0] - 1)
    np.testing.assert_allclose(latent_twins.changes(found["fits"], "ReLU"), expected.ravel())
    assert f"| ReLU | {weights['ReLU']} | {expected.mean():+.1f} |" in capsys.readouterr().out


def test_a_fit_that_is_done_is_not_made_again(tmp_path, monkeypatch):
    (crop, _), name = latent_twins._crops(quick=True), "circuit"
    first = latent_twins._fitted(tmp_path, name, crop, 2)
    monkeypatch.delattr(latent_twins, "train")
    assert latent_twins._fitted(tmp_path, name, crop, 2) == first
