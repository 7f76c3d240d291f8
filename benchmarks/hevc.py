"""Intra frames of HEVC by x265, which files of BPG hold, too: Pillow with pillow-heif writes them.

Counted are the coded frame and what a file of BPG has beside it, not the boxes of HEIC.
"""

from __future__ import annotations

import importlib.util
import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from quinr_pl.evaluation.metrics import bits_per_pixel
from quinr_pl.evaluation.rate_distortion import Points, envelope
from quinr_pl.signals.distortion import psnr

QUALITIES = range(4, 81, 2)
"""Each is half a step of x265's quantizer: about 0.02 to 2 bits a pixel of a photograph."""
_SETTINGS = {"matrix_coefficients": 6, "enc_params": {"preset": "placebo", "tune": "psnr"}}
_CHROMA = ("420", "444")  # the first is better below 0.2 bits a pixel, the second above
_HEADER_BYTES = 20  # of BPG: its own, and a sequence parameter set that is cut down


def available() -> bool:
    """Whether pillow-heif is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


@cache
def curve(path: Path) -> Points:
    """Bits a pixel and PSNR in dB of a picture: the better of 4:2:0 and 4:4:4 at each rate."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    with Image.open(path) as picture:
        original = picture.convert("RGB")
    values = np.asarray(original)
    points = []
    for chroma in _CHROMA:
        for quality in QUALITIES:
            file = io.BytesIO()
            original.save(file, "HEIF", quality=quality, chroma=chroma, **_SETTINGS)
            with Image.open(file) as decoded:
                quality_reached = psnr(values, np.asarray(decoded.convert("RGB")), 255)
            size = _HEADER_BYTES + coded_bytes(file.getvalue())
            points.append((bits_per_pixel(size, original.width * original.height), quality_reached))
    return tuple(envelope(points))


def coded_bytes(data: bytes) -> int:
    """Size of what the boxes of media data of a file hold, in bytes (ISO/IEC 14496-12)."""
    total = start = 0
    while start < len(data):
        size, header = int.from_bytes(data[start : start + 4]), 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16]), 16
        elif size == 0:  # up to the end of the file
            size = len(data) - start
        if data[start + 4 : start + 8] == b"mdat":
            total += size - header
        start += size
    return total
