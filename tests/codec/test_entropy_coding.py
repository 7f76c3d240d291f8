from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_pl.codec.coding import mixture as entropy_coding
from quinr_pl.codec.coding.mixture import (
    LARGEST_LEVEL,
    AdaptiveMixture,
    LevelDecoder,
    LevelEncoder,
    coded_bits,
    low_bits,
)
from quinr_pl.codec.file.container import BitstreamError

levels = st.one_of(st.integers(-3, 3), st.integers(-LARGEST_LEVEL, LARGEST_LEVEL))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(levels, max_size=40), max_size=4), st.binary(min_size=1, max_size=9))
def test_round_trip(tensors: list[list[int]], bottom: bytes) -> None:
    bottom = bottom[:-1] + bytes([bottom[-1] | 1])
    arrays = [np.array(tensor, dtype=np.int64) for tensor in tensors]
    encoder = LevelEncoder()
    for array in arrays:
        encoder.write(array, low_bits(array))
    decoder = LevelDecoder(encoder.getvalue(bottom))
    for array in arrays:
        np.testing.assert_array_equal(decoder.read(len(array), low_bits(array)), array)
    assert decoder.rest() == bottom


@pytest.mark.parametrize("count", [240, 2000])
@pytest.mark.parametrize("draw", ["laplace", "normal", "uniform", "sparse", "zero", "wide"])
def test_size_is_near_the_entropy(count: int, draw: str) -> None:
    generator = np.random.default_rng(count)
    tensor = {
        "laplace": generator.laplace(0, 10, count),
        "normal": generator.normal(0, 15, count),
        "uniform": generator.uniform(-40, 40, count),
        "sparse": generator.normal(0, 0.3, count),
        "zero": np.zeros(count),
        "wide": generator.uniform(-3000, 3000, count),
    }[draw]
    tensor = np.rint(tensor).astype(np.int64)
    _, counts = np.unique(tensor, return_counts=True)
    ideal = -(counts * np.log2(counts / count)).sum() / 8
    if draw == "wide":  # hardly a level occurs twice: the entropy is that of the distribution
        counts, ideal = np.ones(1), count * np.log2(6001) / 8
    # The empirical entropy leaves out what the distribution itself costs: half a logarithm for each of
    # its distinct values, the price of a table.
    table = 0.5 * len(counts) * np.log2(count) / 8 if draw != "wide" else np.inf
    encoder = LevelEncoder()
    encoder.write(tensor, low_bits(tensor))
    size = len(encoder.getvalue(b"\x01"))
    assert size <= ideal + min(table, 0.03 * ideal + 12) + 4
    assert abs(size - 1 - coded_bits(tensor) / 8) <= 4


def test_frequencies_are_exact() -> None:
    frequencies, costs = entropy_coding._candidates()
    expected = 24 - np.log2(frequencies + 1.0)
    assert np.abs(costs / 2**16 - expected).max() < 2**-15
    mixture = AdaptiveMixture()
    for symbols in ([511], [512, 513], [1023, 0]):
        assert mixture.frequencies().sum() == 2**24
        assert mixture.frequencies().min() >= 1
        mixture.update(np.array(symbols))


@pytest.mark.parametrize(("data", "message"), [(b"", "it is empty"), (b"\x01\x00", "zero byte")])
def test_malformed_stack(data: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        LevelDecoder(data)


def test_an_escape_has_no_place() -> None:
    encoder = LevelEncoder()
    encoder.write(np.array([512]))  # the symbol of the escape, unless its low bits stand apart
    with pytest.raises(BitstreamError, match="an escape where there is none"):
        LevelDecoder(encoder.getvalue(b"\x01")).read(1)


def test_mixing_is_exact() -> None:
    frequencies, costs = entropy_coding._candidates()
    assert frequencies.sum(axis=0).max() * 2**24 < 2**53
    mixture = entropy_coding.AdaptiveMixture()
    cost = [0] * len(costs)
    generator = np.random.default_rng(0)
    for size in (1, 1, 7, 300, 5000):
        excess = [one - min(cost) for one in cost]
        weights = [((2 << 16) - one % 2**16 << 7) >> min(one >> 16, 40) for one in excess]
        mixed = [
            sum(weight * int(p) for weight, p in zip(weights, column, strict=True)) >> 24
            for column in frequencies.T
        ]
        expected = [1 + one * (2**24 - 1024) // sum(mixed) for one in mixed]
        expected[511] += 2**24 - sum(expected)
        assert mixture.frequencies().tolist() == expected
        symbols = generator.integers(0, 1024, size)
        mixture.update(symbols)
        cost = [one + sum(map(int, row[symbols])) for one, row in zip(cost, costs, strict=True)]
