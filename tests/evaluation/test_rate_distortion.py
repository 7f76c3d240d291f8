from __future__ import annotations

import math

import numpy as np
import pytest

from quinr_pl.evaluation.rate_distortion import average, bjontegaard_psnr, bjontegaard_rate, envelope, psnr_at
from quinr_pl.experiments.published import kodak_averages, kodak_image

METHODS = ["JPEG2000", "BPG 4:4:4", "VTM", "C3", "COOL-CHICv2"]


@pytest.mark.parametrize("anchor", METHODS)
@pytest.mark.parametrize("test", METHODS)
def test_equals_the_bjontegaard_package(anchor, test):
    package = pytest.importorskip("bjontegaard", reason="the package to compare with is not installed")
    curves = [np.array(kodak_averages()[name].points) for name in (anchor, test)]
    arguments = [column for curve in curves for column in (curve[:, 0], curve[:, 1])]
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    points = [curve.tolist() for curve in curves]
    assert bjontegaard_rate(*points) == pytest.approx(package.bd_rate(*arguments, **options), abs=1e-8)
    assert bjontegaard_psnr(*points) == pytest.approx(package.bd_psnr(*arguments, **options), abs=1e-8)


def test_half_the_rate_is_minus_fifty_percent():
    anchor = [(0.1, 25.0), (0.2, 28.0), (0.4, 31.0), (0.8, 34.0)]
    test = [(bpp / 2, psnr) for bpp, psnr in anchor]
    assert bjontegaard_rate(anchor, test) == pytest.approx(-50)
    assert bjontegaard_psnr(anchor, test) == pytest.approx(3.0)


def test_no_overlap_or_too_few_points():
    low, high = [(0.1, 20.0), (0.2, 21.0)], [(1.0, 30.0), (2.0, 31.0)]
    assert bjontegaard_rate(low, high) is None
    assert bjontegaard_psnr(low, high) is None
    assert bjontegaard_rate(low, [(0.1, 20.5)]) is None


def test_envelope_drops_points_that_cost_more_for_less():
    points = [(0.4, 30.0), (0.1, 25.0), (0.2, 24.0), (0.2, 26.0), (0.3, 26.0)]
    assert envelope(points) == [(0.1, 25.0), (0.2, 26.0), (0.4, 30.0)]


def test_average_takes_points_that_all_images_have():
    curves = {
        "a": {"low": (0.1, 20.0), "high": (0.4, 30.0), "extra": (1.0, 40.0)},
        "b": {"low": (0.3, 24.0), "high": (0.6, 31.0)},
    }
    expected = [(0.2, 22.0), (0.5, 30.5)]
    assert average(curves) == [pytest.approx(pair) for pair in expected]
    assert average({}) == []


def test_quality_at_a_rate():
    curve = [(0.1, 20.0), (1.0, 30.0)]
    assert psnr_at(curve, math.sqrt(0.1)) == pytest.approx(25.0)
    assert psnr_at(curve, 0.05) is None


def test_published_curves_rise_and_name_their_source():
    assert kodak_averages()["COIN"].points[1] == (0.07361, 23.205)
    for curve in [*kodak_averages().values(), *kodak_image("kodim02").values()]:
        assert curve.source
        assert envelope(curve.points) == list(curve.points)
    assert kodak_image("kodim02")["Cool-Chic 5.0.1"].points[0] == (0.042825, 29.3667)
    # Below 0.06 bits a pixel half of a file of 5.0.1 is weights, and versions before it are ahead.
    points = [curve.points for curve in kodak_image("kodim02").values()]
    assert psnr_at(points[0], 0.05) > psnr_at(points[1], 0.05)
    assert psnr_at(points[0], 0.1001) < psnr_at(points[1], 0.1005)
    assert kodak_image("astronaut") == {}
