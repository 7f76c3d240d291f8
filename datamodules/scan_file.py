"""Files of scans: numbers, point after point, without a header that would say which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.notice import notice
from quinr_pl.errors import QuinrError

BYTE_ORDERS = {"little": "<", "big": ">"}
_FEWEST_FLOATS, _MOST_FLOATS = 3, 16
_MOST_POINTS = 1 << 24  # a hundred full turns of a 64-beam scanner: more is another kind of file
_FARTHEST = 1000.0
_STRONGEST = 65535.0
_SAMPLE = 30_000  # numbers that a guess looks at

# The first bytes of files that are something else, whatever they are called.
_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"RIFF": "a WebP picture or another RIFF file",
    b"BM": "a BMP picture",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"PK\x03\x04": "an archive",
    b"\x1f\x8b": "a compressed file (gzip)",
    b"LASF": "a LAS point cloud",
    b"ply": "a PLY point cloud",
    b"# .PCD": "a PCD point cloud",
    b"QNR": "a compressed signal (.quinr)",
    b"%PDF": "a PDF document",
}


@dataclass(frozen=True)
class ScanFormat:
    """How the numbers of a scan lie in its file.

    Where nothing is said, a file has to look like KITTI's: 4 little-endian float32 numbers a point, which are
    x, y, z in metres and a remission that is not negative.

    Args:
        floats: Numbers of a point, x, y and z first; null for 4.
        byte_order: "little" or "big"; null for little.
        float_bits: 32 or 64; null for 32.

    Raises:
        QuinrError: If a value is out of its domain.
    """

    floats: int | None = None
    byte_order: str | None = None
    float_bits: int | None = None

    def __post_init__(self) -> None:
        if self.floats is not None and not _FEWEST_FLOATS <= self.floats <= _MOST_FLOATS:
            raise QuinrError(f"--data.floats {self.floats}: from {_FEWEST_FLOATS} to {_MOST_FLOATS}")
        if self.byte_order not in (None, *BYTE_ORDERS):
            raise QuinrError(f"--data.byte_order {self.byte_order}: choose from {', '.join(BYTE_ORDERS)}")
        if self.float_bits not in (None, 32, 64):
            raise QuinrError(f"--data.float_bits {self.float_bits}: choose 32 or 64")

    @property
    def numbers(self) -> int:
        """Of a point."""
        return self.floats or 4

    @property
    def dtype(self) -> np.dtype:
        """Of a number."""
        return np.dtype(f"{BYTE_ORDERS[self.byte_order or 'little']}f{(self.float_bits or 32) // 8}")

    @property
    def flags(self) -> str:
        """The flags that ask for it."""
        given = {"floats": self.floats, "byte_order": self.byte_order, "float_bits": self.float_bits}
        return " ".join(f"--data.{name} {value}" for name, value in given.items() if value is not None)


def read_scan(path: Path, scan_format: ScanFormat | None = None) -> npt.NDArray[np.float32]:
    """Read a scan.

    Args:
        path: Path of the scan.
        scan_format: How the numbers lie in it; checked to be KITTI's when left out or without a value.

    Returns:
        (points, numbers) float32, x, y and z first.

    Raises:
        QuinrError: If the file is missing, empty, cut, too large, no scan, or holds numbers that are not
            finite.
    """
    asked = scan_format or ScanFormat()
    point_bytes = asked.numbers * asked.dtype.itemsize
    try:
        size = path.stat().st_size
        if size > _MOST_POINTS * point_bytes:
            raise QuinrError(
                f"{path}: {size} bytes, more than the {_MOST_POINTS} points of the largest scan read"
            )
        data = path.read_bytes()
    except OSError as error:
        raise QuinrError(f"{path}: cannot read the scan ({error.strerror})") from error
    if size < point_bytes:
        raise QuinrError(
            f"{path}: {size} bytes is no scan, which has {point_bytes} bytes a point; fetch the file again"
        )
    _refuse_other_kinds(data, path)
    points = _points(data, asked)
    with np.errstate(invalid="ignore"):  # what are no numbers at all may be signalling ones
        if asked.flags:
            if size % point_bytes:
                notice(f"{path}: {size % point_bytes} bytes after the last whole point are left out")
        elif size % point_bytes or not _plausible(points):
            raise QuinrError(_what_it_may_be(data, path))
        return finite_points(points, path)


def intensities_of(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
    """The fourth number of each point, which scanners give after x, y and z; None where there is none."""
    return points[:, 3] if points.shape[1] > 3 else None


def finite_points(points: npt.NDArray, path: Path) -> npt.NDArray[np.float32]:
    """The points as float32.

    Args:
        points: Coordinates and further numbers of each point, (points, numbers).
        path: Their file, for messages.

    Raises:
        QuinrError: If there is a number that is not finite.
    """
    with np.errstate(over="ignore"):
        points = points.astype(np.float32)
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise QuinrError(
            f"{path}: point {int(np.argmax(bad))} is not finite ({int(bad.sum())} such points); "
            "remove them from the scan"
        )
    return points


def check_reach(xyz: npt.NDArray[np.float64], path: Path) -> None:
    """Refuses points that do not lie around a scanner.

    Args:
        xyz: (points, 3) in metres, finite.
        path: Their file, for messages.

    Raises:
        QuinrError: If they lie in a map's frame, or in another unit.
    """
    if not _coordinates(xyz):
        far = float(np.median(np.abs(xyz).max(axis=1)))
        raise QuinrError(
            f"{path}: half of the points lie {far:.4g} m or more away, so not around a scanner; subtract its "
            "place, or say by --data.unit 0.001 that they are in millimetres"
        )


def _points(data: bytes, scan_format: ScanFormat) -> npt.NDArray:
    whole = len(data) // (scan_format.numbers * scan_format.dtype.itemsize)
    numbers = np.frombuffer(data, scan_format.dtype, whole * scan_format.numbers)
    return numbers.reshape(whole, scan_format.numbers)


def _refuse_other_kinds(data: bytes, path: Path) -> None:
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    if kind is None and _is_text(data[:512]):
        kind = "text"
    if kind is not None:
        raise QuinrError(
            f"{path}: {kind}, not a scan; give it its own suffix, or save its points as float32 x, y, z, "
            "remission"
        )


def _is_text(start: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)


def _plausible(points: npt.NDArray) -> bool:
    """Whether points of x, y, z, remission are those of a scanner, but for numbers that are not finite."""
    points = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    if not len(points):
        return True
    remission = points[:, 3]
    return _coordinates(points[:, :3]) and remission.min() >= 0 and remission.max() <= _STRONGEST


def _coordinates(xyz: npt.NDArray) -> bool:
    """Whether most points lie within the reach of a scanner, and most of them not all but in it."""
    distance = np.abs(xyz).max(axis=1)
    away = distance[distance > 0]
    return bool(np.mean(distance < _FARTHEST) > 0.99 and (not len(away) or np.mean(away > 0.01) > 0.5))


def _what_it_may_be(data: bytes, path: Path) -> str:
    said = f"{path}: {len(data)} bytes do not look like points of float32 x, y, z, remission"
    guess = next(_guesses(data), None)
    if guess is not None:
        return f"{said}; they look like others, say {guess.flags}"
    return f"{said}; say how they lie by --data.floats, --data.byte_order and --data.float_bits"


def _guesses(data: bytes) -> Iterator[ScanFormat]:
    """Formats whose points would be plausible: numbers that lie as many apart as a point has are alike."""
    for byte_order, bits in (("little", 32), ("big", 32), ("little", 64), ("big", 64)):
        whole = ScanFormat(_FEWEST_FLOATS, byte_order, bits)
        numbers = _points(data, whole).ravel()[:_SAMPLE].astype(np.float64)
        if not np.isfinite(numbers).all() or np.abs(numbers).max(initial=0.0) > _STRONGEST:
            continue
        if np.median(np.abs(numbers[numbers != 0])) < 1e-3 or len(numbers) <= 2 * _MOST_FLOATS:
            continue
        unlike = {
            floats: np.mean(np.minimum(np.abs(numbers[floats:] - numbers[:-floats]), _FARTHEST))
            for floats in range(_FEWEST_FLOATS, _MOST_FLOATS + 1)
        }
        floats = next(count for count in unlike if unlike[count] <= 1.1 * min(unlike.values()))
        guess = ScanFormat(
            floats, None if byte_order == "little" else byte_order, None if bits == 32 else bits
        )
        if _coordinates(_points(data, guess)[:, :3].astype(np.float64)):
            yield guess
