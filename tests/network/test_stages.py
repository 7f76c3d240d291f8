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
        assert stages.beginning(octave) == pytest.approx(edge)
        assert stages.octave(edge) == octave
        assert stages.octave(edge + 1e-3) == octave
    assert stages.beginning(3) == 0
    shares = [0.1, 0.5, 0.6, 0.75, 0.9, 1.0]
    assert [stages.octave(stages.progress(share)) for share in shares] == [2, 1, 1, 0, 0, 0]
    assert stages.progress(1.0) == pytest.approx(1)


@pytest.mark.parametrize("coarse_steps", [(0.5, 0.5), (-0.1,), (0.2, float("nan"))], ids=str)
def test_shares_that_leave_nothing_are_refused(coarse_steps):
    with pytest.raises(QuinrError, match="coarse_steps"):
        Stages(coarse_steps)
