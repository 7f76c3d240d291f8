from __future__ import annotations

import numpy as np
import pytest

from quinr_pl.datamodules import ImageDataModule
from quinr_pl.datamodules.mask_gaps import close_gaps
from quinr_pl.errors import QuinrError

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
    assert (data.spec.mask != data.valid).sum() == 4
    np.testing.assert_array_equal(data.valid, RANGES > 0)
    np.testing.assert_array_equal(data.targets.isnan().numpy().reshape(4, 12), RANGES == 0)
    with pytest.raises(QuinrError, match=r"--data\.gaps -1: must be 0 or more"):
        ImageDataModule("ranges.npy", gaps=-1)
