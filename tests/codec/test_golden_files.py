from __future__ import annotations

from pathlib import Path

import independent_decoder
import numpy as np
import pytest

from quinr_pl.codec import decode, decompress, encode
from quinr_pl.codec.file.container import split_sections, unpack
from quinr_pl.codec.file.network_header import read_network
from quinr_pl.codec.file.signal_header import read_signal

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(DATA.glob("*.quinr"))


def largest_difference(values: np.ndarray, path: Path) -> float:
    """In units of the signal's range."""
    expected, spec = np.load(path.with_suffix(".npy")), decode(path.read_bytes()).spec
    assert values.shape == expected.shape
    if spec.mask is not None:
        # An empty pixel is one, however near to zero a range may be.
        assert np.array_equal(values == 0, expected == 0)
    return float(np.abs(values.astype(float) - expected).max() / spec.peak)


def sections_of(path: Path) -> set[int]:
    reader = unpack(path.read_bytes())
    read_network(reader, read_signal(reader))
    return {section.type for section in split_sections(reader)}


def test_there_are_golden_files() -> None:
    assert len(FILES) >= 6
    assert set().union(*map(sections_of, FILES)) == {1, 2, 3, 4}
    assert all(path.stat().st_size < 3072 for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_same_pixels_for_ever(path: Path) -> None:
    decoded = decode(path.read_bytes(), path.name)
    values = decoded.reconstruct()
    assert values.dtype == np.load(path.with_suffix(".npy")).dtype
    assert largest_difference(values, path) <= 1 / 255


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_independent_decoder_agrees(path: Path) -> None:
    assert largest_difference(independent_decoder.decode(path.read_bytes()), path) <= 1 / 255


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_encoding_again_gives_the_same_bytes(path: Path) -> None:
    decoded = decode(path.read_bytes())
    data = encode(decoded.quantized, decoded.spec).data
    if 1 in sections_of(path):
        # Written in an older form, which is read only.
        assert len(data) < 1.03 * path.stat().st_size + 8
        np.testing.assert_array_equal(decompress(data), decoded.reconstruct())
    else:
        assert data == path.read_bytes()
