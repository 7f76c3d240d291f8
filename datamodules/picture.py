"""Pictures to and from arrays at 8 or 16 bits, by Pillow, which keeps only 8 bits of 16-bit colour."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from quinr_pl.errors import QuinrError

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_GRAY_16 = {"I", "I;16", "I;16B", "I;16L", "I;16N"}
_PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BAND_BYTES = 1 << 20
# An MPO is a JPEG whose further frames are a camera's previews of the first.
_ONE_PICTURE_FORMATS = {"MPO"}


def picture_channels(path: Path) -> int:
    """Channels that `read_picture` will give, from the header alone.

    Raises:
        QuinrError: If the file is no picture that it can read.
    """
    with _opened(path) as picture:
        mode = _target_mode(picture, path)
        return 1 if mode in _GRAY_16 else _CHANNELS[mode]


def read_picture(path: Path) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Read a picture as it is stored: no rotation from its metadata is applied.

    Palettes become RGB, transparent colours an alpha channel, 1-bit pictures gray, CMYK RGB.

    Returns:
        (height, width, channels) of 1 gray, 2 gray and alpha, 3 RGB or 4 RGBA; uint16 where the file
        holds 16 bits, else uint8.

    Raises:
        QuinrError: If the file is missing, damaged, too large, animated or of a kind that would lose bits.
    """
    with _opened(path) as picture:
        mode = _target_mode(picture, path)
        if _is_deep_colour(picture):
            return _read_deep_colour(path)
        pixels = np.asarray(picture if picture.mode == mode else picture.convert(mode))
    if mode in _GRAY_16:
        if pixels.min() < 0 or pixels.max() > 65535:
            raise QuinrError(
                f"{path}: values {pixels.min()} to {pixels.max()} exceed 16 bits; save it as .npy"
            )
        pixels = pixels.astype(np.uint16)
    return pixels.reshape(*pixels.shape[:2], -1)


def write_png(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], path: Path) -> None:
    """Write a PNG, bit for bit, in bands of rows: memory beyond the values is that of a few bands.

    Args:
        values: (height, width, 1 to 4 channels), uint8 or uint16.
        path: Where; whatever lies there is overwritten.
    """
    height, width, channels = values.shape
    depth = 8 * values.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, _PNG_COLOUR_TYPE[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", header)
        compressor, compressed = zlib.compressobj(9), b""
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


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """An opened picture, with every way in which a file can be bad turned into one message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                yield picture
    except QuinrError:
        raise
    except FileNotFoundError as error:
        raise QuinrError(f"{path}: no such file") from error
    except UnidentifiedImageError as error:
        raise QuinrError(f"{path}: not a picture that Pillow can read, whatever its name says") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise QuinrError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; cut it into parts") from error
    except OSError as error:
        raise QuinrError(f"{path}: cannot read the picture ({error.strerror or error})") from error
    except (ValueError, SyntaxError, EOFError, zlib.error, struct.error, MemoryError) as error:
        raise QuinrError(f"{path}: damaged picture ({error})") from error


def _target_mode(picture: ImageFile.ImageFile, path: Path) -> str:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format not in _ONE_PICTURE_FORMATS:
        raise QuinrError(f"{path}: {frames} frames; save the one to compress as a picture of its own")
    transparent = "transparency" in picture.info
    mode = picture.mode
    if mode in _GRAY_16:
        return mode
    if mode in ("1", "L"):
        return "LA" if transparent else "L"
    if mode in ("LA", "La"):
        return "LA"
    if mode in ("RGBA", "RGBa", "PA") or (mode in ("P", "RGB") and transparent):
        return "RGBA"
    if mode in ("P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"):
        return "RGB"
    raise QuinrError(f"{path}: pixels of Pillow's mode {mode}; convert it to 8 or 16 bits, or to .npy")


def _is_deep_colour(picture: ImageFile.ImageFile) -> bool:
    """Whether the file holds 16 bits in each of several channels."""
    if picture.mode in _GRAY_16 or not picture.tile:
        return False
    if picture.format == "PPM":
        arguments = picture.tile[0][3]
        return isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] > 255
    # "BGR;16" of BMP is 5 or 6 bits a channel, so the raw mode tells only for these two.
    return picture.format in ("PNG", "TIFF") and ";16" in _raw_mode(picture)


def _raw_mode(picture: ImageFile.ImageFile) -> str:
    arguments = picture.tile[0][3] if picture.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return str(first)


def _read_deep_colour(path: Path) -> npt.NDArray[np.uint16]:
    """The bytes that Pillow drops come to light when it is told to read the other byte order."""
    with _opened(path) as picture:
        if picture.format != "PNG" or _raw_mode(picture) not in ("RGB;16B", "RGBA;16B"):
            raise QuinrError(f"{path}: Pillow keeps 8 of its 16 bits; save it as a 16-bit RGB PNG or as .npy")
        mode = _raw_mode(picture).partition(";")[0]
        halves = []
        for order in ("B", "L"):
            with _opened(path) as half:
                half.tile = [half.tile[0]._replace(args=f"{mode};16{order}")]
                halves.append(np.asarray(half).astype(np.uint16))
    return (halves[0] << np.uint16(8)) | halves[1]
