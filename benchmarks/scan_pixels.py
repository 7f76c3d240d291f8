"""Pixels of a scan's files beside JPEG 2000: ``python -m benchmarks.scan_pixels SCAN FILE...``.

FILEs are what `quinr-pl compress SCAN --bpp B` makes, with the exact mask. PSNR is that of the pixels with a
return. JPEG 2000 (9/7, 16 bits, gaps filled) has the same mask before its codestream; in the last column
also as many bytes of rays as the file, which say where each pixel's return lies. Its curves are read at the
file's size, along the logarithm of the rate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy.typing as npt

from quinr_pl.baselines.jpeg2000 import JPEG2000, inpaint
from quinr_pl.codec import decode
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import bits_per_pixel, psnr
from quinr_pl.evaluation.rate_distortion import psnr_at

_AROUND = (0.8, 0.9, 0.95, 1.0, 1.05, 1.1)
"""Sizes of codestreams that are measured, in units of what is left beside mask and rays."""
_LENGTH_BYTES = 4  # that say where the mask ends


def main() -> None:
    """Prints a row for each file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan_pixels", description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    data = ImageDataModule(str(options.scan))
    data.prepare_data()
    data.setup("fit")
    print("| file | bytes | PSNR (dB) | JPEG 2000 with mask | gain | gain, rays in both |")
    print("|---|---:|---:|---:|---:|---:|")
    for path in options.files:
        print(row(path, data), flush=True)


def row(path: Path, data: ImageDataModule) -> str:
    """A file's row of the table.

    Args:
        path: The file.
        data: The scan that it is of.

    Raises:
        QuinrError: If it has another mask, or JPEG 2000 makes no file of its size.
    """
    file = decode(path.read_bytes(), path.name)
    if file.spec.mask is None or data.valid is None or (file.spec.mask != data.valid).any():
        raise QuinrError(f"{path}: its mask is not that of the scan; give a file of that scan, made by --bpp")
    quality = psnr(data.values, file.reconstruct(), data.spec.peak, data.valid)
    size, sections, filled = path.stat().st_size, file.sections, inpaint(data.values, data.valid)
    others = [_jpeg2000(data, filled, size, sections["mask"] + rays) for rays in (0, sections["scanner"])]
    with_mask, with_rays = (f"{quality - other:+.2f}" for other in others)
    return f"| {path.stem} | {size:,} | {quality:.2f} | {others[0]:.2f} | {with_mask} | {with_rays} |"


def _jpeg2000(data: ImageDataModule, filled: npt.NDArray, size: int, beside: int) -> float:
    """PSNR in dB of JPEG 2000 with so many bytes beside its codestream, where all have a size."""
    codec, spec, points = JPEG2000(bits=16), data.spec, []
    left = size - beside - _LENGTH_BYTES
    for share in _AROUND:
        codestream = codec.encode(filled, spec, bits_per_pixel(max(1, round(share * left)), spec.pixels))
        bpp = bits_per_pixel(len(codestream) + beside + _LENGTH_BYTES, spec.pixels)
        points.append((bpp, psnr(data.values, codec.decode(codestream, spec), spec.peak, data.valid)))
    found = psnr_at(points, bits_per_pixel(size, spec.pixels))
    if found is None:
        raise QuinrError(f"JPEG 2000 makes no file of {size} bytes with {beside} of mask and rays")
    return found


if __name__ == "__main__":
    main()
