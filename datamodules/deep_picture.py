"""Colour of more than 8 bits a sample, of which Pillow keeps 8."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from quinr_pl.errors import QuinrError
from quinr_pl.openjpeg import glymur

Samples = npt.NDArray
"""(height, width, channels), uint8 or uint16."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR = 258, 262, 284  # TIFF 6.0, section 8
_SRGB, _GRAY = 16, 17  # enumerated colour spaces of ISO 15444-1, annex I.5.3.3


def deep_reader(picture: ImageFile.ImageFile, path: Path) -> Callable[[], Samples] | None:
    """What reads the samples of a picture that Pillow would cut, and nothing for others.

    Args:
        picture: Opened and not yet loaded.
        path: The picture's file.

    Returns:
        A function for the loaded picture that gives (height, width, channels), white at 255 or 65535, alpha
        not multiplied in; None where Pillow keeps every bit.

    Raises:
        QuinrError: If there are such samples, of a kind that nothing here reads.
    """
    readers = {"PNG": _png, "TIFF": _tiff, "PPM": _ppm, "SGI": _sgi, "JPEG2000": _jpeg2000, "AVIF": _avif}
    reader = readers.get(picture.format or "")
    return reader(picture, path) if reader is not None else None


def full_scale(samples: npt.NDArray, white: int) -> Samples:
    """Samples up to `white` as 8 bits if they fit there, else 16, with white at the top, as PNG has it."""
    top, dtype = (255, np.uint8) if white <= 255 else (65535, np.uint16)
    scaled = samples if white == top else np.rint(np.minimum(samples, white) * (top / white))
    return scaled.astype(dtype)


def raw_mode(picture: ImageFile.ImageFile) -> str:
    """Pillow's name of how the samples lie in the file."""
    arguments = picture.tile[0][3] if picture.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _too_deep(path: Path, what: str) -> QuinrError:
    return QuinrError(f"{path}: {what}, of which only 8 bits can be read; save it as a 16-bit PNG or as .npy")


def _png(picture: ImageFile.ImageFile, path: Path) -> Callable[[], Samples] | None:
    mode, _, bits = raw_mode(picture).partition(";")
    if bits != "16B" or mode not in ("RGB", "RGBA", "LA"):
        return None
    return lambda: _gray_and_alpha(path) if mode == "LA" else _two_halves(path, mode)


def _gray_and_alpha(path: Path) -> npt.NDArray[np.uint16]:
    """A pixel of two 16-bit samples is laid out and filtered as one of four 8-bit samples."""
    with Image.open(path, formats=("PNG",)) as picture:
        size, interlaced = picture.size, int(picture.info.get("interlace", 0))
        picture.load()  # which checks every chunk
    data, compressed, position = path.read_bytes(), b"", 8
    while (name := data[position + 4 : position + 8]) != b"IEND" and name:
        length = int.from_bytes(data[position : position + 4], "big")
        compressed += data[position + 8 : position + 8 + length] if name == b"IDAT" else b""
        position += 12 + length
    bytes_ = np.asarray(Image.frombytes("RGBA", size, compressed, "zip", "RGBA", interlaced))
    return np.ascontiguousarray(bytes_).view(">u2").astype(np.uint16)


def _two_halves(path: Path, mode: str, big_endian: bool = True) -> npt.NDArray[np.uint16]:
    """The bytes that Pillow drops come to light when it is told to read the other byte order."""
    halves = []
    for order in ("B", "L"):
        with Image.open(path) as half:
            assert isinstance(half, ImageFile.ImageFile)
            half.tile = [
                tile._replace(args=_with_raw_mode(tile.args, f"{mode};16{order}")) for tile in half.tile
            ]
            halves.append(np.asarray(half).astype(np.uint16))
    high, low = halves if big_endian else reversed(halves)
    return (high << np.uint16(8)) | low


def _with_raw_mode(arguments: tuple[Any, ...] | str | None, mode: str) -> tuple[Any, ...] | str:
    return (mode, *arguments[1:]) if isinstance(arguments, tuple) else mode


def _tiff(picture: ImageFile.ImageFile, path: Path) -> Callable[[], Samples] | None:
    tags = picture.tag_v2  # type: ignore[attr-defined]
    bits = tags.get(_BITS_PER_SAMPLE, (1,))[0]
    if picture.mode in ("F", "I") or bits <= 8:
        return None
    if picture.mode.startswith("I;16"):
        return lambda: _deep_gray_tiff(picture, inverted=tags.get(_PHOTOMETRIC) == 0, white=2**bits - 1)
    mode, _, layout = raw_mode(picture).partition(";")
    if tags.get(_PLANAR, 1) != 1:
        raise _too_deep(path, f"{bits}-bit colour in separate planes")
    if mode not in ("RGB", "RGBX", "RGBA", "RGBa"):
        raise _too_deep(path, f"{bits}-bit {mode}")
    # libtiff ("N") gives the order of this machine, whatever the file has.
    big_endian = layout.endswith("B") or (layout.endswith("N") and sys.byteorder == "big")
    return lambda: _deep_tiff(path, mode, big_endian)


def _deep_gray_tiff(picture: ImageFile.ImageFile, inverted: bool, white: int) -> Samples:
    samples = np.asarray(picture)[:, :, None]
    return full_scale(white - samples if inverted else samples, white)


def _deep_tiff(path: Path, mode: str, big_endian: bool) -> npt.NDArray[np.uint16]:
    samples = _two_halves(path, "RGBA" if mode == "RGBa" else mode, big_endian)
    if mode != "RGBa":
        return samples
    colour, alpha = samples[..., :3].astype(np.float64), samples[..., 3:]
    plain = np.minimum(np.rint(colour * 65535 / np.maximum(alpha, 1)), 65535).astype(np.uint16)
    return np.concatenate([plain, alpha], axis=2)


def _ppm(picture: ImageFile.ImageFile, path: Path) -> Callable[[], Samples] | None:
    tile = picture.tile[0]
    maxval = tile.args[-1] if isinstance(tile.args, tuple) else 0
    if picture.mode != "RGB" or not isinstance(maxval, int) or maxval <= 255:
        return None
    if tile.codec_name != "ppm":
        raise _too_deep(path, f"plain-text colour with values up to {maxval}")
    return lambda: _read_planes(path, tile.offset, (picture.height, picture.width, 3), maxval)


def _sgi(picture: ImageFile.ImageFile, path: Path) -> Callable[[], Samples] | None:
    if path.read_bytes()[3] != 2:
        return None
    if picture.tile[0].codec_name != "SGI16":
        raise _too_deep(path, "16 bits in run lengths")
    shape = (len(picture.getbands()), picture.height, picture.width)
    return lambda: np.ascontiguousarray(_read_planes(path, 512, shape, 65535)[:, ::-1].transpose(1, 2, 0))


def _read_planes(path: Path, offset: int, shape: tuple[int, ...], white: int) -> Samples:
    """Big-endian 16-bit samples that lie one after another."""
    count = int(np.prod(shape))
    samples = np.fromfile(path, ">u2", count, offset=offset)
    if len(samples) < count:
        raise OSError("image file is truncated")
    return full_scale(samples.reshape(shape), white)


def _jpeg2000(picture: ImageFile.ImageFile, path: Path) -> Callable[[], Samples] | None:
    depths = _component_depths(path)
    if picture.mode in ("P", "PA") or all(depth & 127 == 7 for depth in depths):
        return None
    if len(set(depths)) > 1 or depths[0] > 15:  # the highest bit says that samples are signed
        raise _too_deep(path, f"JPEG 2000 with samples of {[1 + (depth & 127) for depth in depths]} bits")
    return lambda: _decode_jpeg2000(path, bits=depths[0] + 1)


def _component_depths(path: Path) -> bytes:
    """Bits of each component's samples less one, from the codestream's first segment."""
    data = path.read_bytes()
    start = data.index(b"\xff\x4f\xff\x51") + 4
    (count,) = struct.unpack_from(">H", data, start + 36)
    return data[start + 38 : start + 38 + 3 * count : 3]


def _decode_jpeg2000(path: Path, bits: int) -> Samples:
    file = glymur().Jp2k(path)
    for box in file.box:
        for inner in getattr(box, "box", ()):
            if inner.box_id == "colr" and inner.method == 1 and inner.colorspace not in (_SRGB, _GRAY):
                raise _too_deep(path, f"{bits}-bit JPEG 2000 that is neither sRGB nor gray")
    samples = file[:]
    return full_scale(samples.reshape(*samples.shape[:2], -1), 2**bits - 1)


def _avif(picture: ImageFile.ImageFile, path: Path) -> None:
    data = path.read_bytes()
    position = data.find(b"av1C")
    while position >= 0:
        if data[position + 6] & 0x40:  # high_bitdepth of the AV1 codec configuration
            raise _too_deep(path, "AVIF of 10 or 12 bits")
        position = data.find(b"av1C", position + 4)
