"""Scans in one file beside a file for each: ``python -m benchmarks.drive FOLDER SCAN... --values 0.2 0.24``.

Files are made by `quinr-pl compress`, each at every value of a flag; further flags go to it. A command that
was ended goes on where it was, and files that are in FOLDER already are not made again. The Chamfer distance
is the mean of the scans' own, of decoded files. Bytes of single files at the distance of a file of all scans
lie on the line through theirs, in logarithms of both. Decoding is by the clock, from bytes to points.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.codec import Frames
from quinr_pl.datamodules import ImageDataModule
from quinr_pl.signals.point_distortion import point_figures


def main() -> None:
    """Make the files that are missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drive", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--flag", default="--chamfer", help="of quinr-pl compress (%(default)s)")
    parser.add_argument("--values", nargs="+", required=True, help="of it, for single files")
    parser.add_argument("--together", nargs="+", help="values for the file of all scans, if others")
    options, flags = parser.parse_known_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    points = [_points(scan) for scan in options.scans]
    together: list[_Coded] = []
    for value in options.together or options.values:
        file = options.folder / f"drive-{value}.quinr"
        made = _made(file, options.scans, [options.flag, value, *flags])
        together.append(_measured([made], points))
        print(f"one file, {value}: {together[-1]}", flush=True)
    singles: list[_Coded] = []
    for value in options.values:
        files = [
            _made(options.folder / f"{scan.stem}-{value}.quinr", [scan], [options.flag, value, *flags])
            for scan in options.scans
        ]
        singles.append(_measured(files, points))
        print(f"single files, {value}: {singles[-1]}", flush=True)
    if len(singles) > 1:
        for coded in together:
            alone = _bytes_at(singles, coded.chamfer)
            print(f"{coded.size} bytes are {coded.size / alone:.3f} of {alone:.0f} of single files")


@dataclass(frozen=True)
class _Coded:
    """Scans, decoded from one or several files.

    Args:
        size: Bytes of all files.
        chamfer: Mean of the Chamfer distances, in metres.
        scans: How many.
        seconds: From bytes to points, by the clock.
    """

    size: int
    chamfer: float
    scans: int
    seconds: float

    def __str__(self) -> str:
        pace = self.scans / self.seconds
        return f"{self.size} bytes, Chamfer {self.chamfer:.4f} m, {pace:.1f} scans decoded a second"


def _made(file: Path, scans: Sequence[Path], flags: Sequence[str]) -> Path:
    """The file of some scans, made unless it is there."""
    if not file.exists():
        command = ["-m", "quinr_pl", "compress", *map(str, scans), "-o", str(file), *flags]
        subprocess.run([sys.executable, *command], check=True)
    return file


def _measured(files: Sequence[Path], points: Sequence[npt.NDArray]) -> _Coded:
    """Decodes files that hold all scans in order."""
    data = [file.read_bytes() for file in files]
    Frames(data[0])[0].points()  # start-up: libraries and compiled kernels
    start = time.perf_counter()
    decoded = [frame.points() for one in data for frame in Frames(one)]
    seconds = time.perf_counter() - start
    chamfer = [
        point_figures(scan[:, :3], coded[:, :3])["chamfer"]
        for scan, coded in zip(points, decoded, strict=True)
    ]
    return _Coded(sum(map(len, data)), float(np.mean(chamfer)), len(decoded), seconds)


def _points(scan: Path) -> npt.NDArray:
    data = ImageDataModule(str(scan))
    data.setup()
    assert data.points is not None, f"{scan} has points"
    return data.points


def _bytes_at(coded: Sequence[_Coded], chamfer: float) -> float:
    """Bytes at a distance, on the line through the two nearest of the files."""
    first, second = sorted(coded, key=lambda one: abs(np.log(one.chamfer / chamfer)))[:2]
    slope = np.log(second.size / first.size) / np.log(second.chamfer / first.chamfer)
    return float(first.size * (chamfer / first.chamfer) ** slope)


if __name__ == "__main__":
    main()
