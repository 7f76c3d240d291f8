"""Points of the Point Cloud Library: `.pcd` files in ASCII, binary and compressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.errors import QuinrError

_HEADER_BYTES = 1 << 16
_KEYS = ("FIELDS", "SIZE", "TYPE", "POINTS", "DATA")
_MOST_BYTES = 1 << 30

Columns = dict[str, npt.NDArray]


def read_pcd(path: Path) -> Columns:
    """Numbers of all points, by field; of a field of several numbers the first ones.

    Args:
        path: Of a ``.pcd`` file of version 0.7 or its forerunners.

    Returns:
        (points,) each, in the file's own type.

    Raises:
        QuinrError: If the file is cut or malformed.
    """
    data = path.read_bytes()
    try:
        header, start = _header(data)
        dtype, count = _dtype(header), int(header["POINTS"][0])
        if not 0 <= count * dtype.itemsize <= _MOST_BYTES:
            raise ValueError(f"{count} points of {dtype.itemsize} bytes")
        body, form = data[start:], header["DATA"][0].lower()
        if form == "ascii":
            return _ascii(body, dtype, count)
        if form == "binary":
            table = np.frombuffer(body, dtype, count)
            return {name: _first(table[name]) for name in dtype.names or ()}
        if form == "binary_compressed":
            return _compressed(body, dtype, count)
        raise ValueError(f"DATA {form}")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise QuinrError(f"{path}: cut or not a PCD file ({error}); write it again") from error


def _header(data: bytes) -> tuple[Mapping[str, list[str]], int]:
    """Values by key, and where the data starts."""
    values: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in values:
        end = data.index(b"\n", start, _HEADER_BYTES)
        line = data[start:end].decode("ascii").split()
        start = end + 1
        if line and not line[0].startswith("#"):
            values[line[0].upper()] = line[1:]
    missing = [key for key in _KEYS if not values.get(key)]
    if missing:
        raise ValueError(f"no {missing[0]}")
    return values, start


def _dtype(header: Mapping[str, list[str]]) -> np.dtype:
    names = header["FIELDS"]
    counts = header.get("COUNT", ["1"] * len(names))
    fields = []
    for index, (name, size, kind, number) in enumerate(
        zip(names, header["SIZE"], header["TYPE"], counts, strict=True)
    ):
        letter = {"F": "f", "I": "i", "U": "u"}[kind.upper()]
        # "_" names what only fills up, and may be there several times.
        unique = f"_{index}" if name == "_" else name
        fields.append((unique, f"<{letter}{int(size)}", (int(number),)))
    return np.dtype(fields)


def _first(column: npt.NDArray) -> npt.NDArray:
    return column[:, 0]


def _ascii(body: bytes, dtype: np.dtype, count: int) -> Columns:
    words = np.array(body.split(), dtype="S")
    width = sum(dtype[name].shape[0] for name in dtype.names or ())
    if len(words) != count * width:
        raise ValueError(f"{len(words)} numbers for {count} points of {width}")
    table, columns, at = words.reshape(count, width), {}, 0
    for name in dtype.names or ():
        columns[name] = table[:, at].astype(np.float64)
        at += dtype[name].shape[0]
    return columns


def _compressed(body: bytes, dtype: np.dtype, count: int) -> Columns:
    """Field after field, each of all points."""
    packed, plain = (int(size) for size in np.frombuffer(body, "<u4", 2))
    if plain != count * dtype.itemsize or len(body) < 8 + packed:
        raise ValueError(f"{plain} bytes for {count} points")
    data, at = decompress_lzf(body[8 : 8 + packed], plain), 0
    columns = {}
    for name in dtype.names or ():
        base, (number,) = dtype[name].base, dtype[name].shape
        column = np.frombuffer(data, base, count * number, at).reshape(count, number)
        columns[name] = _first(column)
        at += column.nbytes
    return columns


def decompress_lzf(data: bytes, size: int) -> bytes:
    """What LibLZF compressed: runs of literal bytes, and repetitions of what came before.

    Args:
        data: The compressed bytes.
        size: Of the result.

    Raises:
        ValueError: If the data is malformed or of another size.
    """
    result, at = bytearray(), 0
    while at < len(data) and len(result) <= size:
        control = data[at]
        at += 1
        if control < 32:
            literal = data[at : at + control + 1]
            result += literal
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += data[at]
            at += 1
        distance = ((control & 31) << 8 | data[at]) + 1
        at += 1
        if distance > len(result):
            raise ValueError("a repetition of what is not there")
        start, length = len(result) - distance, length + 2
        piece = result[start : start + length]
        result += (piece * (length // len(piece) + 1))[:length]
    if len(result) != size:
        raise ValueError(f"{len(result)} bytes unpacked, {size} expected")
    return bytes(result)
