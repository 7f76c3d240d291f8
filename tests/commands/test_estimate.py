"""What a fit is expected to come to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quinr_pl.commands import estimate
from quinr_pl.commands.estimate import Jpeg2000Curve, expected_seconds
from quinr_pl.commands.fit_flags import FitFlags
from quinr_pl.signals import RANGE_IMAGE, SignalSpec, image_spec


@pytest.mark.parametrize("shape", [(48, 64, 3), (80, 100, 1), (256, 256, 3)])
def test_headers_of_jpeg_2000_are_no_part_of_its_rates(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    curve = Jpeg2000Curve(pixels, image_spec(pixels))
    rate, _ = curve.point(1.0)
    assert rate == pytest.approx(1.0, rel=0.2), "its headers are 0.2 to 0.5 bits a pixel of the small ones"


def test_pixels_without_a_value_are_not_what_a_bit_is_worth() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((64, 256)) / 32
    ranges = (20 + 10 * np.sin(3 * rows + columns) + rng.normal(0, 0.3, (64, 256))).astype(np.float32)
    valid = rng.random((8, 32)).repeat(8, 0).repeat(8, 1) < 0.8
    masked = np.where(valid, ranges, 0)[:, :, None]
    whole = SignalSpec.of(RANGE_IMAGE, ranges[:, :, None], (0.0, 60.0))
    spec = replace(whole, mask=valid)
    expected = Jpeg2000Curve(ranges[:, :, None], whole).psnr(0.5)
    known, unknown = (Jpeg2000Curve(masked, spec, given) for given in (valid, None))
    assert known.psnr(0.5) == pytest.approx(expected, abs=2)
    assert unknown.psnr(0.5) < expected - 5, "edges of the mask cost most otherwise"
    assert 0 < 4 * known.rate_weight(0.5) < unknown.rate_weight(0.5)


def test_looking_for_a_start_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_mean_seconds", lambda step, progress: 1.0)
    monkeypatch.setattr(estimate, "_pass_seconds", lambda network, spec: 0.0)
    spec = image_spec(np.zeros((24, 32, 3), np.uint8))

    def seconds(**number: int) -> float:
        flags = {f"trainer.callbacks.{name}": value for name, value in number.items()}
        small = {"model.network.grids": 3, **flags}
        return expected_seconds(FitFlags([], []).resolve("compress.yaml", small), spec)

    alone = seconds(starts=1)
    assert seconds(starts=3, steps=50) - alone == pytest.approx(150)
    assert seconds(starts=4, steps=25) - alone == pytest.approx(100)
