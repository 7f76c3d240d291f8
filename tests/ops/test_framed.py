"""Frames against numpy.pad and its adjoint, in whole numbers, whose sums are exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_pl.network.cost import NetworkCost
from quinr_pl.ops.cpu.framed import Framed
from quinr_pl.signals import IMAGE_8, SignalSpec

frames = pytest.mark.parametrize(
    ("shape", "margin", "rings"),
    [((1, 1, 1), 2, 2), ((2, 5, 3), 2, 1), ((3, 4, 32), 2, 2), ((1, 1, 7), 3, 3), ((2, 6, 1), 3, 2)],
    ids=str,
)


def whole_numbers(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).integers(-9, 10, shape)).double()


def repeated(signal, margin, rings):
    frame = Framed.around(signal, margin)
    frame.repeat_edges(rings)
    return frame


def inside(frame, margin, rings):
    """The signal and the rings around it, (planes, rows + 2 rings, columns + 2 rings)."""
    first = margin - rings
    rows, columns = frame.rows + 2 * rings, frame.columns + 2 * rings
    return frame.whole[:, first : first + rows, first : first + columns]


@frames
def test_repeated_edges_are_those_of_numpy(shape, margin, rings):
    signal = whole_numbers(0, *shape)
    found = inside(repeated(signal, margin, rings), margin, rings)
    expected = np.pad(signal.numpy(), ((0, 0), (rings, rings), (rings, rings)), mode="edge")
    np.testing.assert_array_equal(found.numpy(), expected)


@frames
def test_folding_is_the_adjoint_of_repeating(shape, margin, rings):
    """<repeat(x), y> == <x, fold(y)> for all x and y."""
    for seed in range(5):
        x = whole_numbers(seed, *shape)
        given = Framed(shape[0], shape[1:], margin, x)
        y = whole_numbers(seed + 10, *inside(given, margin, rings).shape)
        inside(given, margin, rings).copy_(y)
        given.fold_edges(rings)
        padded = np.pad(x.numpy(), ((0, 0), (rings, rings), (rings, rings)), mode="edge")
        assert float((x * given.signal).sum()) == float((padded * y.numpy()).sum())


def test_folding_leaves_the_margin_clear():
    given = Framed(2, (3, 5), 2, torch.zeros(1))
    given.whole.fill_(1)
    given.fold_edges(2)
    assert float(given.whole.sum()) == float(given.signal.sum()) == 2 * 7 * 9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_addresses_count_from_the_first_number_of_the_signal(dtype):
    frame = Framed(2, (3, 5), 2, torch.zeros(1, dtype=dtype))
    assert frame.address(1, 0, 0) == frame.signal[1].data_ptr()
    assert frame.address(1, 2, 4) == frame.signal[1, 2, 4].data_ptr()
    assert frame.address(0, -2, -2) == frame.whole.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("margin", [1, 2, 3])
def test_a_row_has_room_for_whole_vectors(dtype, margin):
    """From the margin's first column on, and for pairs of vectors and a margin from the signal's."""
    lanes = 64 // torch.zeros(1, dtype=dtype).element_size()
    for columns in range(1, 80):
        frame = Framed(1, (1, columns), margin, torch.zeros(1, dtype=dtype))
        vectors = -(-(columns + 2 * margin) // lanes)
        pairs = -(-columns // (2 * lanes))
        assert frame.row >= max(vectors * lanes, 2 * margin + 2 * pairs * lanes)


def test_the_signal_is_taken_out_as_a_copy():
    signal = whole_numbers(0, 2, 3, 5)
    frame = Framed.around(signal, 2)
    taken = frame.taken()
    frame.signal.zero_()
    assert taken.is_contiguous()
    assert torch.equal(taken, signal)


def test_rows_are_no_longer_than_the_cost_of_decoding_says():
    for columns in range(1, 200):
        frame = Framed(1, (1, columns), 2, torch.zeros(1))
        spec = SignalSpec(IMAGE_8, (1, columns), 1, 0.0, 255.0)
        assert frame.row <= NetworkCost(0, 0, 0, 1, margin=0)._row(spec)
