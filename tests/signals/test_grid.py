from __future__ import annotations

import itertools

import pytest
import torch

from quinr_pl.signals import coordinates


@pytest.mark.parametrize("shape", [(1,), (7,), (4, 5), (1, 3), (3, 1, 2), (2, 3, 4, 5)])
def test_coordinates_are_those_of_a_mesh(shape):
    axes = [torch.linspace(-1, 1, size) if size > 1 else torch.zeros(1) for size in shape]
    expected = torch.tensor(list(itertools.product(*(axis.tolist() for axis in axes))))
    torch.testing.assert_close(coordinates(shape), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(11,), (4, 5), (2, 3, 4)])
def test_a_slice_has_the_values_of_the_whole(shape):
    whole = coordinates(shape)
    assert torch.equal(coordinates(shape, 3, 9), whole[3:9])
    assert torch.equal(coordinates(shape, 5), whole[5:])
