"""What a fit is expected to come to."""

from __future__ import annotations

import numpy as np
import pytest

from quinr_pl.commands import estimate
from quinr_pl.commands.estimate import Jpeg2000Curve, expected_seconds
from quinr_pl.commands.fit_flags import FitFlags
from quinr_pl.signals import image_spec


@pytest.mark.parametrize("shape", [(48, 64, 3), (80, 100, 1), (256, 256, 3)])
def test_headers_of_jpeg_2000_are_no_part_of_its_rates(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    curve = Jpeg2000Curve(pixels, image_spec(pixels))
    rate, _ = curve.point(1.0)
    assert rate == pytest.approx(1.0, rel=0.2), "its headers are 0.2 to 0.5 bits a pixel of the small ones"


def test_looking_for_a_start_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_mean_seconds", lambda step, progress: 1.0)
    spec = image_spec(np.zeros((24, 32, 3), np.uint8))

    def seconds(**number: int) -> float:
        flags = {f"trainer.callbacks.{name}": value for name, value in number.items()}
        small = {"model.network.grids": 3, **flags}
        return expected_seconds(FitFlags([], []).resolve("compress.yaml", small), spec)

    alone = seconds(starts=1)
    assert seconds(starts=3, steps=50) - alone == pytest.approx(150, abs=10)
    assert seconds(starts=4, steps=25) - alone == pytest.approx(100, abs=10)
