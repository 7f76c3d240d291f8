"""`quinr-pl compress` beside other codecs: ``python -m benchmarks.compress_table FOLDER IMAGE...``.

Each file is made by the command and decoded by `quinr-pl decompress`, in processes of their own. Its bytes,
its PSNR against the picture and the seconds of both commands stand beside the PSNR that JPEG 2000 (9/7),
WebP, AVIF and, where pillow-heif is installed, intra frames of HEVC have at the same bytes, and beside the
envelope of what all versions of Cool-Chic publish for Kodak. Each curve is interpolated along the logarithm
of the rate, and empty where it does not reach. Files that are in FOLDER already are not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks import hevc
from quinr_pl.atomic_file import write_bytes
from quinr_pl.baselines.jpeg2000 import JPEG2000
from quinr_pl.baselines.pillow import PillowCodec
from quinr_pl.evaluation.metrics import bits_per_pixel
from quinr_pl.evaluation.rate_distortion import psnr_at
from quinr_pl.experiments.published import kodak_image
from quinr_pl.signals import SignalSpec, image_spec
from quinr_pl.signals.distortion import psnr

Row = dict[str, Any]
_AROUND = (0.8, 0.95, 1.05, 1.25)
"""Rates at which anchors are measured, in units of the file's."""
HEVC, COOL_CHIC = "HEVC", "Cool-Chic"
ANCHORS = ("JPEG 2000", "WebP", "AVIF", HEVC, COOL_CHIC)


def main() -> None:
    """Make the files that are missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compress_table", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.1])
    parser.add_argument("--efforts", type=int, nargs="+", default=[3])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for effort in options.efforts:
        for bpp in options.bpp:
            for image in options.images:
                rows.append(_row(options.folder, image, bpp, effort))
                print(_line(rows[-1]), flush=True)
    print("\n" + "\n".join(_table(rows)))


def _row(folder: Path, image: Path, bpp: float, effort: int) -> Row:
    """The figures of one file, which are kept beside it."""
    kept = folder / f"{image.stem}-{bpp:g}-effort{effort}.json"
    if kept.is_file():
        row: Row = json.loads(kept.read_text())
        return _with_hevc(row, image, kept)
    file, picture = kept.with_suffix(".quinr"), kept.with_suffix(".png")
    asked = ["--bpp", f"{bpp:g}", "--effort", str(effort), "--json"]
    encoding, said = _timed(["compress", str(image), "-o", str(file), *asked])
    decoding, _ = _timed(["decompress", str(file), "-o", str(picture), "--overwrite"])
    original, decoded = _pixels(image), _pixels(picture)
    spec, size = image_spec(original), file.stat().st_size
    rate = bits_per_pixel(size, spec.pixels)
    figures = json.loads(said.splitlines()[-1])
    row = {
        "image": image.stem,
        "asked": bpp,
        "effort": effort,
        "bytes": size,
        "bpp": rate,
        "of_asked": rate / bpp,
        "psnr": psnr(original, decoded, spec.peak),
        "told_psnr": figures["psnr"],
        "lambda": figures["lambda"],
        "encode_seconds": encoding,
        "decode_seconds": decoding,
        **_anchors(image.stem, original, spec, rate),
    }
    write_bytes(kept, (json.dumps(row, indent=1) + "\n").encode())
    return _with_hevc(row, image, kept)


def _timed(arguments: Sequence[str]) -> tuple[float, str]:
    """Seconds that a command takes from start to end, and its standard output."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "quinr_pl", *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return time.perf_counter() - start, done.stdout


def _anchors(name: str, values: npt.NDArray, spec: SignalSpec, rate: float) -> dict[str, float | None]:
    """PSNR at the rate of a file of codecs that need nothing installed, and of those that are published."""
    found: dict[str, float | None] = {}
    codecs = {"JPEG 2000": JPEG2000(), "WebP": PillowCodec("webp"), "AVIF": PillowCodec("avif")}
    for anchor, codec in codecs.items():
        points = []
        for bpp in (rate * factor for factor in _AROUND):
            data = codec.encode(values, spec, bpp)
            points.append(
                (bits_per_pixel(len(data), spec.pixels), psnr(values, codec.decode(data, spec), spec.peak))
            )
        found[anchor] = psnr_at(points, rate)
    found[COOL_CHIC] = published_psnr(name, rate)
    return found


def published_psnr(image: str, rate: float) -> float | None:
    """PSNR of the envelope of all versions of Cool-Chic at a rate; None where no curve reaches it."""
    found = (psnr_at(curve.points, rate) for curve in kodak_image(image).values())
    return max((quality for quality in found if quality is not None), default=None)


def _with_hevc(row: Row, image: Path, kept: Path) -> Row:
    """A row with the PSNR of HEVC, which is measured once where it can be."""
    if HEVC not in row and hevc.available():
        row = {**row, HEVC: psnr_at(hevc.curve(image), row["bpp"])}
        write_bytes(kept, (json.dumps(row, indent=1) + "\n").encode())
    return row


@cache
def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.atleast_3d(np.asarray(picture))


def _line(row: Row) -> str:
    return (
        f"{row['image']} effort {row['effort']}, {row['asked']:g} bpp: {row['bytes']} bytes, "
        f"{row['of_asked']:.3f} of what was asked, {row['psnr']:.2f} dB, "
        f"{difference(row, 'JPEG 2000')} dB over JPEG 2000, {row['encode_seconds']:.0f} s"
    )


def _table(rows: Iterable[Row]) -> list[str]:
    """Rows of Markdown: what others have is told as our PSNR less theirs."""
    over = " | ".join(f"over {name}" for name in ANCHORS)
    lines = [
        f"| image | effort | asked | bytes | of asked | PSNR | {over} | encode s | decode s |",
        "|---|" + "---:|" * (7 + len(ANCHORS)),
    ]
    for row in rows:
        others = " | ".join(difference(row, name) for name in ANCHORS)
        lines.append(
            f"| {row['image']} | {row['effort']} | {row['asked']:g} | {row['bytes']} | "
            f"{row['of_asked']:.3f} | {row['psnr']:.2f} | {others} | "
            f"{row['encode_seconds']:.0f} | {row['decode_seconds']:.1f} |"
        )
    return lines


def difference(row: Row, name: str) -> str:
    """What a file has over another codec, in dB; empty where that has no figure."""
    other = row.get(name)
    return "" if other is None else f"{row['psnr'] - other:+.2f}"


if __name__ == "__main__":
    main()
