"""PNG files of 8 and 16 bits a sample."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
"""By the number of channels."""
_BAND_BYTES = 1 << 20


def check_channels(channels: int) -> None:
    """Refuse a number of channels that no PNG has.

    Raises:
        QuinrError: If there are more than four; the message does not name the file.
    """
    if channels not in _COLOUR_TYPE:
        raise QuinrError(f"{channels} channels do not fit a PNG; write it as .npy")


def write_png(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], path: Path) -> None:
    """Write a PNG, bit for bit, in bands of rows: memory beyond the values is that of a few bands.

    Args:
        values: (height, width, 1 to 4 channels), uint8 or uint16.
        path: Where; whatever lies there is overwritten.
    """
    height, width, channels = values.shape
    depth = 8 * values.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPE[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", header)
        # The highest level takes five times as long, for files 2 % smaller.
        compressor, compressed = zlib.compressobj(), b""
        for rows in _filtered_bands(values):
            compressed += compressor.compress(rows)
            if len(compressed) >= _BAND_BYTES:
                _write_chunk(file, b"IDAT", compressed)
                compressed = b""
        _write_chunk(file, b"IDAT", compressed + compressor.flush())
        _write_chunk(file, b"IEND", b"")


def _filtered_bands(values: npt.NDArray) -> Iterator[bytes]:
    """Rows by filter 2 of the PNG specification: each byte less the one above, modulo 256."""
    height = len(values)
    above = np.zeros((1, values[0].nbytes), np.uint8)
    most = max(1, _BAND_BYTES // above.size)
    for first in range(0, height, most):
        band = values[first : first + most]
        rows = np.frombuffer(band.astype(values.dtype.newbyteorder(">")).tobytes(), np.uint8)
        rows = rows.reshape(len(band), -1)
        difference = rows - np.concatenate([above, rows[:-1]])
        yield np.hstack([np.full((len(band), 1), 2, np.uint8), difference]).tobytes()
        above = rows[-1:]


def _write_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name + content)
    file.write(struct.pack(">I", zlib.crc32(name + content)))
