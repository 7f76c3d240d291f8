"""Signals of the studies, and how networks are matched in size and compared."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from fits import QUICK_TINY, fitted
from scipy.stats import wilcoxon

from benchmarks.studies.signals import BAND, CropDataModule, described, photograph, synthetic
from benchmarks.studies.study import difference, matched
from quinr_pl import decompress
from quinr_pl.datamodules import SampleDataModule, SyntheticScanDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.fit_configs import data_module_of
from quinr_pl.network import COIN


def read(tree):
    module = data_module_of(tree)
    module.setup()
    return module


@pytest.mark.parametrize("axes", [1, 2])
def test_noise_has_no_frequencies_above_its_band(axes):
    values = read(synthetic("noise", axes, size=32)).values[..., 0].astype(float)
    power = np.abs(np.fft.fftn(values - values.mean())) ** 2
    frequencies = np.meshgrid(*[np.fft.fftfreq(32)] * axes, indexing="ij", sparse=True)
    above = sum(f**2 for f in frequencies) > BAND**2
    assert power[above].sum() < 1e-10 * power.sum()
    assert values.min() == 0
    assert values.max() == 1


def test_a_chirp_ends_at_the_band():
    values = read(synthetic("chirp", 1, size=512)).values[:, 0] - 0.5
    crossings = np.flatnonzero(np.diff(np.sign(values)) != 0)
    early, late = (((low <= crossings) & (crossings < low + 64)).sum() / 128 for low in (0, 448))
    assert early < 0.05
    assert late == pytest.approx(BAND * 480 / 511, abs=0.02)  # cycles a sample in the middle of the last part


def test_edges_are_few_values():
    assert len(np.unique(read(synthetic("edges", 2, size=40)).values)) < 25
    with pytest.raises(QuinrError, match="chirp, noise, edges, mixed of 1 or 2 axes"):
        read(synthetic("edges", 3, size=4))


def test_crops_are_parts_of_pictures_and_scans():
    whole = read(described(SampleDataModule, image="coffee"))
    part = read(
        described(
            CropDataModule, of=described(SampleDataModule, image="coffee"), top=3, left=5, height=7, width=9
        )
    )
    assert np.array_equal(part.values, whole.values[3:10, 5:14])
    scan = described(SyntheticScanDataModule)
    part = read(described(CropDataModule, of=scan, top=8, left=500, height=16, width=12))
    assert part.spec.mask is not None
    assert np.array_equal(part.spec.mask, read(scan).spec.mask[8:24, 500:512])
    assert read(photograph(24)).values.shape == (16, 24, 3)


def test_a_part_of_a_part_is_fitted(tmp_path):
    inner = described(CropDataModule, of=photograph(24), top=2, left=3, height=12, width=14)
    outer = described(CropDataModule, of=inner, top=4, left=1, height=7, width=9, batch_size=63)
    config = tmp_path / "fit.yaml"
    config.write_text(yaml.safe_dump({"data": outer}))
    folder = fitted(tmp_path, *QUICK_TINY, "--config", str(config), "--trainer.max_steps", "1")
    (file,) = folder.rglob("*.quinr")
    assert decompress(file).shape == (7, 9, 3)
    assert np.array_equal(read(outer).values, read(photograph(24)).values[6:13, 4:13])


def test_sizes_are_matched_to_the_nearest():
    found = matched(COIN, {"layers": 3}, "width", COIN.parameter_count, 500)
    counts = {width: COIN(layers=3, width=width).parameter_count() for width in range(5, 30)}
    assert found["width"] == min(counts, key=lambda width: abs(counts[width] - 500))


def test_differences_are_paired_by_signal():
    signals = {"a": (20.0, 19.0), "b": (30.0, 29.5), "c": (25.0, 25.25)}
    rows = [
        {"signal": signal, "network": name, "seed": seed, "psnr": psnr + seed - 0.5}
        for signal, both in signals.items()
        for name, psnr in zip(("quINR", "SIREN"), both, strict=True)
        for seed in (0, 1)
    ]
    found = difference(rows, "quINR", "SIREN")
    less = np.array([1.0, 0.5, -0.25])
    assert (found.mean, found.deviation) == pytest.approx((less.mean(), less.std(ddof=1)))
    assert found.effect == pytest.approx(less.mean() / less.std(ddof=1))
    assert found.p == pytest.approx(wilcoxon(less).pvalue)
    assert (found.wins, found.signals) == (2, 3)


_PLAIN = str.maketrans("", "", "*`")


@pytest.mark.parametrize("name", ["ablations", "ansatze", "circuits", "distillation", "noise", "twins"])
def test_pages_show_the_data_that_is_shipped(name: str) -> None:
    root = Path(__file__).parents[2]
    study = import_module(f"benchmarks.studies.{name}")
    found = json.loads((root / "benchmarks" / "results" / f"{name}.json").read_text())
    page, tables = (root / "docs" / "studies" / f"{name}.md").read_text(), study.tables(found)
    shown, rows = ({row.translate(_PLAIN) for row in text.splitlines()} for text in (page, tables))
    assert len(rows) > 5
    assert {row for row in rows if row.startswith("| ")} <= shown
    plt.close(study.draw(found))
