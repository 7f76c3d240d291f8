"""Figures of points, against all pairs of points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quinr_pl.evaluation.metrics import rate_and_distortion
from quinr_pl.signals import RANGE_IMAGE, Scanner, SignalSpec
from quinr_pl.signals.point_distortion import point_figures, surface_normals


def slow_figures(points: np.ndarray, decoded: np.ndarray, normals: np.ndarray) -> dict[str, float]:
    pairs = np.linalg.norm(points[:, None] - decoded[None], axis=2)
    there, back = pairs.min(1), pairs.min(0)
    to_decoded, to_points = pairs.argmin(1), pairs.argmin(0)
    first = [np.dot(a - decoded[j], n) ** 2 for a, j, n in zip(points, to_decoded, normals, strict=True)]
    second = [np.dot(b - points[i], normals[i]) ** 2 for b, i in zip(decoded, to_points, strict=True)]
    hits, found = (back <= 0.02).sum(), (there <= 0.02).sum()
    precision, recall = hits / len(decoded), found / len(points)
    peak = 3 * 59.7**2
    return {
        "chamfer": (there.mean() + back.mean()) / 2,
        "d1_psnr": 10 * np.log10(peak / max((there**2).mean(), (back**2).mean())),
        "d2_psnr": 10 * np.log10(peak / max(np.mean(first), np.mean(second))),
        "f1": 2 / (1 / precision + 1 / recall),
    }


@pytest.mark.parametrize("kept", [200, 40])
def test_equals_all_pairs(kept):
    generator = np.random.default_rng(0)
    points = generator.uniform(-1, 1, (200, 3)) * [5, 5, 0.3]
    decoded = points[:kept] + generator.normal(0, 0.015, (kept, 3))
    found = point_figures(points, decoded)
    expected = slow_figures(points, decoded, surface_normals(points))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9), key


def test_by_hand():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    raised = points + np.array([0, 0, 0.1])
    found = point_figures(points, raised)
    assert found["chamfer"] == pytest.approx(0.1)
    assert found["d1_psnr"] == found["d2_psnr"] == pytest.approx(10 * math.log10(3 * 59.7**2 / 0.01))
    assert found["f1"] == 0
    moved = point_figures(points, points + np.array([0.01, 0, 0]))  # along the plane
    assert moved["d2_psnr"] > 200
    assert moved["f1"] == 1
    one = point_figures(points, points[:1])
    assert one["chamfer"] == pytest.approx((2 + math.sqrt(2)) / 8)  # nothing on the way back
    assert one["d1_psnr"] == pytest.approx(10 * math.log10(3 * 59.7**2 / 1))


def test_nothing_on_either_side():
    points = np.ones((3, 3))
    none = point_figures(points, np.empty((0, 3)))
    assert none["chamfer"] == math.inf
    assert none["f1"] == 0
    assert point_figures(points, points)["d1_psnr"] == math.inf
    with pytest.raises(ValueError, match="no point"):
        point_figures(np.empty((0, 3)), points)


def test_normals_of_a_tilted_plane():
    generator = np.random.default_rng(1)
    across = np.array([[1.0, 0, 0.5], [0, 1.0, -0.25]])
    points = generator.uniform(-1, 1, (300, 2)) @ across
    normal = np.cross(*across) / np.linalg.norm(np.cross(*across))
    np.testing.assert_allclose(np.abs(surface_normals(points) @ normal), 1, atol=1e-9)


def test_bits_a_point_and_points_of_decoded_pixels():
    scanner = Scanner((0,), (0,))
    spec = SignalSpec(RANGE_IMAGE, (1, 4), 1, 0.0, 80.0, scanner=scanner)
    values = np.array([[5.0, 0.0, 7.0, 3.0]])[..., None]
    points = spec.points(values)
    figures = rate_and_distortion(30, values, values, spec, values[..., 0] > 0, points)
    assert figures["bits_per_point"] == 80
    assert figures["chamfer"] == pytest.approx(0, abs=1e-6)
    other = rate_and_distortion(30, values, values, spec, None, points, points + np.float32(1))
    assert other["chamfer"] == pytest.approx(math.sqrt(3), abs=1e-5)
    assert "chamfer" not in rate_and_distortion(30, values, values, spec, None)
