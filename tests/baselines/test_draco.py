from __future__ import annotations

import sys

import numpy as np
import pytest

from quinr_pl.baselines.draco import Draco, decode_draco
from quinr_pl.commands.main import main
from quinr_pl.datamodules.synthetic_scan import street_scan
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.published import scan_curves
from quinr_pl.signals.point_distortion import point_figures

CONFIG = """
folder: runs
processes: 1
published: true
data: {class_path: SyntheticScanDataModule, init_args: {projection: beam_order, height: 64, width: 256}}
images: [{scene: 0}]
anchors: [Draco]
methods:
  Draco: {kind: draco, points: [8, 10, 12]}
  JPEG2000 with mask: {kind: jpeg2000, settings: {mask: true}, points: [2]}
"""


def test_points_lie_within_half_a_step():
    points = street_scan(0, azimuths=100)[:, :3]
    sizes = []
    for bits in (8, 11):
        data = Draco(bits).encode(points)
        decoded = decode_draco(data)
        assert decoded.shape == points.shape
        step = np.ptp(points, axis=0).max() / (2**bits - 1)
        assert point_figures(points, decoded)["chamfer"] <= step * np.sqrt(3) / 2
        assert np.abs(np.sort(points, 0) - np.sort(decoded, 0)).max() <= step / 2 * 1.001
        sizes.append(len(data))
    assert sizes[0] < sizes[1] < points.nbytes


@pytest.mark.parametrize(("arguments", "message"), [((0,), "Draco bits 0"), ((8, 11), "Draco level 11")])
def test_bad_settings(arguments, message):
    with pytest.raises(QuinrError, match=message):
        Draco(*arguments)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    with pytest.raises(QuinrError, match=r"DracoPy is not installed; pip install 'DracoPy>="):
        Draco(8).encode(np.zeros((1, 3), np.float32))


@pytest.mark.slow
def test_a_comparison_of_points(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.yaml").write_text(CONFIG)
    assert main(["compare", "--config", "points.yaml"]) == 0
    assert main(["compare", "--config", "points.yaml", "--verify"]) == 0
    lines = (tmp_path / "runs/report/results.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    draco = [row for row in rows if row["method"] == "Draco"]
    for figure, sign in (("chamfer", -1), ("d1_psnr", 1), ("d2_psnr", 1), ("psnr_valid", 1)):
        assert all(np.diff([sign * float(row[figure]) for row in draco]) > 0), figure
    page = (tmp_path / "runs/report/index.html").read_text()
    assert page.count("<svg") == 6
    for text in ("Draco", "bits per point", "G-PCC (published)", "planar mode", "R-PCC"):
        assert text in page


def test_published_curves_fall_with_the_rate():
    for quality, sign in (("chamfer", -1), ("d1_psnr", 1)):
        for name, curve in scan_curves(quality).items():
            bits, values = np.array(curve.points).T
            assert len(bits) >= 3, name
            assert (np.diff(bits) > 0).all()
            assert (np.diff(sign * values) > 0).all()
    assert "R-PCC" not in scan_curves("d1_psnr")


def test_a_picture_has_no_points(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    changed = CONFIG.replace(
        "SyntheticScanDataModule, init_args: {projection: beam_order, height: 64, width: 256}",
        "SampleDataModule",
    )
    (tmp_path / "picture.yaml").write_text(
        changed.replace("[{scene: 0}]", "[{image: coffee, longer_side: 16}]")
    )
    assert main(["compare", "--config", "picture.yaml", "--methods", "Draco"]) != 0
    assert "coffee is no scan of points; leave it out" in " ".join(capsys.readouterr().out.split())
