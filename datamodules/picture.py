"""Pictures as arrays of 8 or 16 bits a sample, upright and as a viewer shows them."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from quinr_pl.datamodules.deep_picture import Samples, deep_reader, raw_mode
from quinr_pl.datamodules.notice import notice
from quinr_pl.errors import QuinrError

FORMATS = (
    "PNG",
    "JPEG",
    "JPEG2000",
    "TIFF",
    "WEBP",
    "AVIF",
    "GIF",
    "BMP",
    "PPM",
    "TGA",
    "PCX",
    "QOI",
    "SGI",
    "ICO",
    "ICNS",
)
"""Formats that are read. Pillow knows more, which are documents, stubs, or run other programs."""

# What each of Pillow's modes becomes.
_COLOURS = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
}
_ORIENTATION, _EXTRA_SAMPLES = 274, 338  # tags of EXIF and TIFF


def read_picture(path: Path) -> Samples:
    """Read a picture as a viewer shows it: turned as its metadata say, white at the top of its range.

    Palettes become RGB, transparent colours an alpha channel, 1-bit pictures gray, CMYK RGB. Samples of
    other depths than 8 or 16 bits are scaled to the next of them. A line on stderr says what is left out.

    Returns:
        (height, width, channels) of 1 gray, 2 gray and alpha, 3 RGB or 4 RGBA; uint16 where the file
        holds more than 8 bits, else uint8.

    Raises:
        QuinrError: If the file is missing, damaged, too large, animated or of a kind that would lose bits.
    """
    with _opened(path) as picture:
        _refuse_frames(picture, path)
        deep = deep_reader(picture, path)
        bits = re.search(r";(\d+)", raw_mode(picture)) if picture.format == "PNG" else None
        picture.load()  # only then do icons know their mode, and all pictures their metadata
        pixels = deep() if deep is not None else _pixels(picture, path)
        transparent = picture.info.get("transparency")
        if picture.mode not in ("P", "PA") and isinstance(transparent, int | tuple):
            depth = 1 if picture.mode == "1" else int(bits[1]) if bits else 8
            pixels = _with_alpha(pixels, transparent, depth)
        _say_what_is_left_out(picture, path)
        return _upright(pixels, _orientation(picture, path))


def _refuse_frames(picture: ImageFile.ImageFile, path: Path) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # whose further frames are a camera's previews of the first
        raise QuinrError(f"{path}: {frames} frames; save the one to compress as a picture of its own")


def _pixels(picture: ImageFile.ImageFile, path: Path) -> Samples:
    """What Pillow reads without loss."""
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        samples = np.asarray(picture)[:, :, None]
        if samples.min() < 0 or samples.max() > 65535:
            extremes = f"{samples.min()} to {samples.max()}"
            raise QuinrError(f"{path}: values {extremes} exceed 16 bits; save it as .npy")
        return samples.astype(np.uint16)
    colours = _COLOURS.get(picture.mode)
    if colours is None:
        raise QuinrError(
            f"{path}: pixels of Pillow's mode {picture.mode}; convert it to gray or RGB of 8 or 16 bits, or "
            "to .npy"
        )
    if picture.mode == "P" and ("transparency" in picture.info or _palette_has_alpha(picture)):
        colours = "RGBA"
    samples = np.asarray(picture if picture.mode == colours else picture.convert(colours))
    return samples.reshape(*samples.shape[:2], -1)


def _palette_has_alpha(picture: ImageFile.ImageFile) -> bool:
    return picture.palette is not None and picture.palette.mode.endswith("A")


def _with_alpha(pixels: Samples, transparent: int | tuple[int, ...], depth: int) -> Samples:
    """Adds a channel that is 0 where all samples have a level of the file, in its depth, else at the top."""
    top = np.iinfo(pixels.dtype).max
    white = 2**depth - 1
    level = (np.atleast_1d(transparent) & white) * (top // white)
    alpha = np.where((pixels == level).all(axis=2, keepdims=True), 0, top)
    return np.concatenate([pixels, alpha.astype(pixels.dtype)], axis=2)


def _say_what_is_left_out(picture: ImageFile.ImageFile, path: Path) -> None:
    if picture.mode == "CMYK":
        notice(f"{path}: CMYK is converted to RGB by the plain formula, without its colour profile")
    if picture.format == "MPO":
        notice(f"{path}: the first of {getattr(picture, 'n_frames', 1)} pictures is kept")
    sizes = picture.info.get("sizes", ())
    if picture.format in ("ICO", "ICNS") and len(sizes) > 1:
        notice(f"{path}: one of {len(sizes)} sizes is kept, {picture.width} x {picture.height}")
    tags = getattr(picture, "tag_v2", {})
    if picture.format == "TIFF" and 0 in tags.get(_EXTRA_SAMPLES, ()):
        notice(f"{path}: a channel of unspecified meaning is left out")


def _orientation(picture: ImageFile.ImageFile, path: Path) -> int:
    """EXIF's number of how the picture is to be turned: 1 as it is."""
    if picture.format == "TIFF":
        return 1  # Pillow has turned it already
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception as error:  # broken metadata raise anything, and are no reason to refuse the pixels
        notice(f"{path}: its metadata cannot be read ({error}), so it is not turned")
        return 1


def _upright(pixels: Samples, orientation: int) -> Samples:
    """Mirrors and turns by EXIF's number (Exif 2.3, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """An opened picture, with every way in which a file can be bad turned into one message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.init()
            with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as picture:
                assert isinstance(picture, ImageFile.ImageFile)
                if 0 in picture.size:
                    raise QuinrError(
                        f"{path}: {picture.width} x {picture.height} pixels, nothing to compress"
                    )
                yield picture
    except QuinrError:
        raise
    except FileNotFoundError as error:
        raise QuinrError(f"{path}: no such file") from error
    except UnidentifiedImageError as error:
        raise QuinrError(
            f"{path}: damaged, or no picture of a kind that is read, whatever its name says; pictures are "
            f"{', '.join(FORMATS)} with 8 or 16 bits a sample, arrays .npy, scans .bin"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise QuinrError(f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; cut it into parts") from error
    except OSError as error:
        raise QuinrError(f"{path}: cannot read the picture ({error.strerror or error})") from error
    except (
        ValueError,
        LookupError,
        TypeError,
        RuntimeError,
        SyntaxError,
        EOFError,
        zlib.error,
        struct.error,
        MemoryError,
    ) as error:
        raise QuinrError(f"{path}: damaged picture ({error})") from error
