from __future__ import annotations

import numpy as np
import pytest

from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.mask_gaps import close_gaps, smoothed, without_flicker
from quinr_pl.errors import QuinrError
from quinr_pl.signals import ReferenceFrame

RANGES = np.array(
    [
        [0, 10, 0, 11, 0, 0, 0, 12, 0, 20, 0, 0],
        [0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 7],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    np.float32,
)


@pytest.mark.parametrize(
    ("longest", "closed"),
    [
        (0, []),
        (1, [(0, 2)]),
        (3, [(0, 2), (0, 4), (0, 5), (0, 6)]),  # but not from 12 m to 20 m, nor from a row to the next
        (7, [(0, 2), (0, 4), (0, 5), (0, 6), *[(1, column) for column in range(4, 11)]]),
    ],
)
def test_gaps_between_like_ranges_are_closed(longest, closed):
    expected = RANGES > 0
    for place in closed:
        expected[place] = True
    np.testing.assert_array_equal(close_gaps(RANGES, RANGES > 0, longest), expected)


def test_what_a_closed_gap_holds_is_free(tmp_path):
    np.save(tmp_path / "ranges.npy", RANGES)
    data = ImageDataModule(str(tmp_path / "ranges.npy"), range_image=True, gaps=3)
    data.setup()
    np.testing.assert_array_equal(data.valid, RANGES > 0)
    mask = data.spec.mask
    np.testing.assert_array_equal(mask, smoothed(close_gaps(RANGES, RANGES > 0, 3)))
    assert (mask & ~data.valid).any()
    np.testing.assert_array_equal(data.targets.isnan().numpy().reshape(4, 12), ~(mask & data.valid))
    with pytest.raises(QuinrError, match=r"--data\.gaps -1: must be at least 0"):
        ImageDataModule("ranges.npy", gaps=-1)


def test_frays_are_smoothed_and_rims_stay():
    mask = np.zeros((9, 12), bool)
    mask[:, :6] = True
    frayed = mask.copy()
    frayed[2, 3], frayed[4, 9], frayed[6, 6] = False, True, True  # a hole, a speck, a tooth of the rim
    np.testing.assert_array_equal(smoothed(frayed), mask)
    speck = np.zeros((9, 12), bool)
    speck[4, 4] = True
    np.testing.assert_array_equal(smoothed(speck), speck)  # a mask has some return


def test_flicker_is_what_few_pixels_around_a_place_agree_on():
    before = np.zeros((9, 12), bool)
    before[:, :6] = True
    speckled = before.copy()
    speckled[4, 2], speckled[4, 9] = False, True  # single pixels
    speckled[:, 6] = True  # a rim that moved by one
    np.testing.assert_array_equal(without_flicker(speckled, before), before)
    moved = np.roll(before, 3, axis=1)
    kept = without_flicker(moved, before)
    np.testing.assert_array_equal(kept[:, 4:8], moved[:, 4:8])  # within what is new, not at its rim
    nothing = np.zeros_like(before)
    lonely = nothing.copy()
    lonely[0, 0] = True
    np.testing.assert_array_equal(without_flicker(lonely, nothing), lonely)  # a mask has some return


@pytest.mark.parametrize(("gaps", "differs"), [(0, 1), (3, 0)])
def test_a_following_frame_leaves_flicker_out_where_gaps_are_closed(gaps, differs, tmp_path):
    ranges = np.full((8, 12), 10.0, np.float32)
    np.save(tmp_path / "first.npy", ranges)
    ranges[4, 5:11] = 0  # longer than the gaps that are closed
    ranges[4, 7] = 40
    np.save(tmp_path / "next.npy", ranges)
    first, following = (
        ImageDataModule(str(tmp_path / name), range_image=True, gaps=gaps, peak=80.0)
        for name in ("first.npy", "next.npy")
    )
    first.setup()
    following.setup()
    spec = following.spec.following(ReferenceFrame(first.spec, None))
    following.follow(spec)
    assert bool((following.spec.mask != first.spec.mask).any()) == bool(differs)
    np.testing.assert_array_equal(following.targets.isnan().numpy().reshape(8, 12), ranges == 0)
