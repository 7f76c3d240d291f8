"""The study of pixels and parameters, in its quick form."""

from __future__ import annotations

import pytest

from benchmarks.studies import scaling_laws
from benchmarks.studies.signals import ResizedDataModule, photograph
from quinr_pl.network import COIN, QuINR


@pytest.mark.slow
def test_scaling_laws_have_a_line_for_each_size(figures, capsys):
    found = figures(scaling_laws.main)
    assert {(row["part"], row["x"]) for row in found["fits"]} == {
        *((part, scale) for part in ("pixels", "latents") for scale in (1 / 32, 1 / 16)),
        *(("parameters", size) for size in (500, 2000)),
    }
    assert all(row["encode_seconds"] > 0 and row["bytes"] > 50 for row in found["fits"])
    assert "| 2000 | quINR |" in capsys.readouterr().out


@pytest.mark.parametrize("parameters", [500, 2_000, 8_000])
def test_twins_have_as_many_parameters(parameters):
    networks = scaling_laws.coordinate_networks(parameters)
    counts = [
        kind(**networks[name]["model"]["network"]["init_args"]).parameter_count()
        for name, kind in (("quINR", QuINR), ("SIREN", COIN))
    ]
    assert counts == pytest.approx([parameters] * 2, rel=0.06)


def test_the_share_is_that_of_what_is_not_a_sine_layer():
    network = QuINR(**scaling_laws._arguments(500))
    of_sines = sum(parameter.numel() for parameter in network.sine_layers.parameters())
    expected = 1 - of_sines / network.parameter_count()
    assert scaling_laws.circuit_share(500) == pytest.approx(expected)


def test_pictures_are_resized():
    small = ResizedDataModule(photograph(64), 0.25)
    small.setup()
    assert small.spec.shape == (11, 16)
    assert small.channels == small.spec.channels == 3
