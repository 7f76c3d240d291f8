"""What each kind of signal says of itself, and the table that they stand in."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from quinr_pl.errors import QuinrError
from quinr_pl.signals import (
    ARRAY,
    AUDIO,
    IMAGE_8,
    IMAGE_16,
    KINDS,
    RANGE_IMAGE,
    VOLUME,
    SignalKind,
    SignalSpec,
)
from quinr_pl.signals.distortion import psnr
from quinr_pl.signals.kinds import all_kinds

OWN = (IMAGE_8, IMAGE_16, RANGE_IMAGE, ARRAY)
FIELD = SignalKind(7, "field", ("depth", "height", "width"), "int16", (-100.0, 400.0))
ANY = SignalKind(9, "anything", None, "float32", (0.0, 1.0))


@pytest.mark.parametrize("kind", [*OWN, AUDIO, VOLUME], ids=lambda kind: kind.name)
def test_the_table_has_each_kind_under_its_code(kind):
    assert KINDS[kind.code] is kind
    assert kind in all_kinds()
    assert pickle.loads(pickle.dumps(kind)) == copy.deepcopy(kind) == kind


@pytest.mark.parametrize("kind", [*OWN, FIELD, ANY], ids=lambda kind: kind.name)
def test_values_survive_targets(kind):
    shape = tuple(range(2, 2 + len(kind.axes or (0,) * 5)))
    spec = SignalSpec(kind, shape, 2, *kind.usual_range)
    values = np.random.default_rng(0).uniform(spec.low, spec.high, (*shape, 2)).astype(spec.dtype)
    back = spec.denormalize(spec.normalize(values))
    assert back.dtype == values.dtype
    np.testing.assert_allclose(back, values, rtol=0, atol=0 if spec.dtype.kind in "iu" else 1e-5 * spec.peak)
    assert spec.pixels == values.size // 2


@pytest.mark.parametrize("kind", [*OWN, FIELD, ANY], ids=lambda kind: kind.name)
def test_every_signal_is_drawn(kind):
    shape = tuple(range(2, 2 + len(kind.axes or (0,))))
    values = np.linspace(*kind.usual_range, np.prod(shape), dtype=kind.dtype).reshape(*shape, 1)
    spec = SignalSpec.of(kind, values)
    for picture in (spec.picture(values), spec.error_picture(values, values)):
        assert picture.dtype == np.uint8
        assert picture.shape == (np.prod(shape[:-1]), shape[-1], 3)


@pytest.mark.parametrize("kind", [*OWN, FIELD], ids=lambda kind: kind.name)
def test_other_numbers_of_axes_are_refused(kind):
    with pytest.raises(QuinrError, match=rf"\(5,\): {kind.name} needs \(.*height, width\)"):
        SignalSpec(kind, (5,), 1, *kind.usual_range)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(IMAGE_8, 0, 256), (IMAGE_16, -1, 2), (FIELD, 0, 40000), (RANGE_IMAGE, -1, 3), (ARRAY, 1, 1)],
)
def test_ranges_that_the_values_cannot_have_are_refused(kind, low, high):
    with pytest.raises(QuinrError, match=rf"signal range \[{low}, {high}\]"):
        SignalSpec(kind, (2,) * len(kind.axes), 1, low, high)


def test_sizes_below_one_and_masks_of_others_are_refused():
    for sizes in [((0, 3), 1), ((2, 3), 0)]:
        with pytest.raises(QuinrError, match="every size must be at least 1"):
            SignalSpec(ARRAY, *sizes, 0.0, 1.0)
    mask = np.ones((2, 3), bool)
    assert SignalSpec(RANGE_IMAGE, (2, 3), 1, 0.0, 80.0, mask).mask is mask
    for kind, shape in [(IMAGE_8, (2, 3)), (RANGE_IMAGE, (3, 2))]:
        with pytest.raises(QuinrError, match=f"does not belong to {kind.name}"):
            SignalSpec(kind, shape, 1, 0.0, 80.0, mask)


def test_a_range_image_is_measured_in_metres_and_over_returns():
    values = np.array([[3.0, 0.0], [10.0, 4.0]])[:, :, None]
    decoded = values + np.array([[1.0, 7.0], [-1.0, 1.0]])[:, :, None]
    valid = values[..., 0] > 0
    figures = RANGE_IMAGE.measure(values, decoded, 80.0, valid)
    assert figures["rmse_valid"] == pytest.approx(1.0)
    assert figures["rmse"] == pytest.approx(np.sqrt(52 / 4))
    assert figures["psnr_valid"] == pytest.approx(20 * np.log10(80.0))
    assert figures.keys() < RANGE_IMAGE.figures.keys()
    assert RANGE_IMAGE.measure(values, decoded, 80.0, None) == {}
    assert psnr(values, decoded, 80.0) < figures["psnr_valid"]
