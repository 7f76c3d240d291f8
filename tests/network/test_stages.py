"""Training at rising resolutions."""

from __future__ import annotations

import pytest

from quinr_pl.errors import QuinrError
from quinr_pl.network.latent.stages import Stages


def test_octaves_fall_where_the_work_of_the_coarser_ones_is_done():
    stages = Stages((0.5, 0.25))
    work = [0.5 / 16, 0.25 / 4, 0.25]
    edges = [0.0, work[0] / sum(work), (work[0] + work[1]) / sum(work)]
    for octave, edge in zip((2, 1, 0), edges, strict=True):
        assert stages.joining(octave) == pytest.approx(edge)
        assert stages.octave(edge) == octave
        assert stages.octave(edge + 1e-3) == octave
    assert stages.joining(3) == 0
    shares = [0.1, 0.5, 0.6, 0.75, 0.9, 1.0]
    assert [stages.octave(stages.progress(share)) for share in shares] == [2, 1, 1, 0, 0, 0]
    assert stages.progress(1.0) == pytest.approx(1)


@pytest.mark.parametrize("coarse_steps", [(0.5, 0.5), (-0.1,), (0.2, float("nan"))], ids=str)
def test_shares_that_leave_nothing_are_refused(coarse_steps):
    with pytest.raises(QuinrError, match="coarse_steps"):
        Stages(coarse_steps)


def test_grids_that_an_enlargement_fills_take_part_from_the_start():
    stages = Stages((0.5, 0.25), enlargements=1)
    assert stages.joining(1) == 0
    assert stages.joining(0) == Stages((0.5, 0.25)).joining(0) > 0
    done = [stages.enlarged(stages.progress(share)) for share in (0.0, 0.49, 0.51, 0.74, 0.76, 1.0)]
    assert done == [0, 0, 1, 1, 1, 1]
    twice = Stages((0.5, 0.25), enlargements=2)
    assert twice.joining(0) == 0
    assert [twice.enlarged(twice.progress(share)) for share in (0.49, 0.51, 0.76)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("coarse_steps", "finest", "most"),
    [
        ((0.5, 0.25), 0, 2),
        ((0.5, 0.25), 1, 1),
        ((0.0, 0.25), 0, 1),
        ((0.5, 0.0), 0, 2),
        ((0, 0), 0, 0),
        ((), 0, 0),
    ],
)
def test_grids_are_enlarged_no_more_often_than_the_resolution_rises(coarse_steps, finest, most):
    stages = Stages(coarse_steps, enlargements=5, finest=finest)
    assert stages.enlargements == most
    assert stages.enlarged(0.0) == 0
    assert stages.enlarged(1.0) == most


def test_a_negative_number_of_enlargements_is_refused():
    with pytest.raises(QuinrError, match="enlargements -1: must be 0 or more"):
        Stages((0.5, 0.25), enlargements=-1)
