"""What a user asks of a compressed file: a size, a rate or a quality, and how much work it may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quinr_pl.errors import QuinrError

if TYPE_CHECKING:
    import numpy.typing as npt

    from quinr_pl.signals import Points, SignalSpec

PRESETS = {"tiny": 0.02, "small": 0.05, "medium": 0.1, "large": 0.2}
"""Bits for each pixel."""
EFFORTS = (1, 2, 3, 4, 5)
USUAL_EFFORT = 3
USUAL_PRESET = "medium"
LATENTS, COORDINATES = "latents", "coordinates"
_LARGEST_PSNR = 100.0
_KITTI_PSNR, _KITTI_CHAMFER = 36.0, 0.24
_CHAMFERS = 1e-9, 1e9  # metres; infinite is the distance of a file without any point
_AIMED = 0.9  # of a distance: fits of several frames aim nearer than asked
_NEPERS_PER_DECIBEL = 0.05  # of the distance: edges, where most error is, weigh less in it


class OutOfReachError(QuinrError):
    """What was asked for cannot be had, and another run would not have it either."""


@dataclass(frozen=True)
class Ask:
    """At most one of a size, a rate, a quality and a preset; an effort; and which network.

    Args:
        bpp: Bits for each pixel, at most.
        most_bytes: Size of the file, at most.
        psnr: dB of the decoded signal, at least.
        preset: A name of PRESETS, which a mask comes on top of.
        effort: How long the fit may take, 1 to 5.
        network: "latents" or "coordinates"; None for what suits the size.
        bits_per_point: Bits of the file for each point of a scan, at most.
        chamfer: Symmetric Chamfer distance in metres of a scan's decoded points, at most.

    Raises:
        QuinrError: If a value is one that no file can have.
    """

    bpp: float | None = None
    most_bytes: int | None = None
    psnr: float | None = None
    preset: str | None = None
    effort: int = USUAL_EFFORT
    network: str | None = None
    bits_per_point: float | None = None
    chamfer: float | None = None

    def __post_init__(self) -> None:
        given = [flag for flag, value in self._given().items() if value is not None]
        if len(given) > 1:
            raise QuinrError(f"{' and '.join(given)}: give one of {', '.join(self._given())}")
        if self.bpp is not None and not 0 < self.bpp < math.inf:
            raise QuinrError(f"--bpp {self.bpp:g}: must be a positive number of bits for each pixel")
        if self.most_bytes is not None and self.most_bytes < 1:
            raise QuinrError(f"--bytes {self.most_bytes}: must be a positive number of bytes")
        if self.psnr is not None and not 0 < self.psnr <= _LARGEST_PSNR:
            raise QuinrError(f"--psnr {self.psnr:g}: must lie between 0 and {_LARGEST_PSNR:g} dB")
        for flag, number, what in (
            ("bits-per-point", self.bits_per_point, "bits for each point"),
            ("chamfer", self.chamfer, "metres"),
        ):
            if number is not None and not 0 < number < math.inf:
                raise QuinrError(f"--{flag} {number:g}: must be a positive number of {what}")
        for flag, value, known in (
            ("preset", self.preset, PRESETS),
            ("effort", self.effort, EFFORTS),
            ("network", self.network, (LATENTS, COORDINATES)),
        ):
            if value is not None and value not in known:
                raise QuinrError(f"--{flag} {value}: choose from {', '.join(map(str, known))}")

    def _given(self) -> dict[str, object]:
        return {
            "--bpp": self.bpp,
            "--bytes": self.most_bytes,
            "--psnr": self.psnr,
            "--bits-per-point": self.bits_per_point,
            "--chamfer": self.chamfer,
            "--preset": self.preset,
        }

    @property
    def of_nothing(self) -> bool:
        """Whether neither size nor quality is asked for."""
        return all(value is None for value in self._given().values())

    @property
    def of_size(self) -> bool:
        """Whether a size or a rate is asked for, and no preset."""
        return any(size is not None for size in (self.bpp, self.most_bytes, self.bits_per_point))

    @property
    def of_points(self) -> bool:
        """Whether only the file of a scan of points can have what is asked for."""
        return self.bits_per_point is not None or self.chamfer is not None

    @property
    def decibels(self) -> float | None:
        """The quality that is asked for as `reached` tells it; None where a size is."""
        return self.psnr if self.chamfer is None else chamfer_in_decibels(self.chamfer)

    def reached(self, psnr: float, chamfer: float | None) -> float:
        """Quality of a file in dB: its PSNR, or of points what its Chamfer distance stands for.

        Errors of the mask, which points lose little by, are most of the PSNR of a scan's pixels.
        """
        return psnr if not self.of_points or chamfer is None else chamfer_in_decibels(chamfer)

    def require_points(self, spec: SignalSpec, values: npt.NDArray, points: Points | None, name: str) -> None:
        """Refuses what is asked of points where there are none, and a distance that no file or each one has.

        Args:
            spec: Of the signal.
            values: Of its pixels, (*shape, channels).
            points: Of the scan, (points, 3); None where it is none.
            name: Of the input.

        Raises:
            QuinrError: That says what to ask for instead.
        """
        if self.of_points and points is None:
            raise QuinrError(f"{self}: {name} is no scan of points; ask for --bpp, --bytes or --psnr")
        if self.chamfer is None:
            return
        from quinr_pl.signals.point_distortion import point_figures

        decoded = spec.points(values)
        assert points is not None
        assert decoded is not None, "who has points has their scanner"
        own = point_figures(points, decoded)["chamfer"]
        if not _AIMED * own <= self.chamfer <= spec.high:
            raise QuinrError(
                f"{self}: must lie between {own:.3f}, which the range image has without any loss (less with "
                f"more of --data.width or --data.firings), and {spec.high:g} metres"
            )

    def __str__(self) -> str:
        """The flag that says what is asked for, for messages."""
        given = ((flag, value) for flag, value in self._given().items() if value is not None)
        flag, value = next(given, ("--preset", USUAL_PRESET))
        return f"{flag} {value:g}" if isinstance(value, float) else f"{flag} {value}"

    def for_bytes(self, size: int, pixels: int, points: int) -> Ask:
        """The same by the same flag, or by ``--bytes``, for a file of so many bytes.

        Args:
            size: Of the file.
            pixels: Of the signal.
            points: Of the scan; 0 where it is none.
        """
        rounded = 8 * (size + 0.5)
        if self.bpp is not None:
            return replace(self, bpp=rounded / pixels)
        if self.bits_per_point is not None:
            return replace(self, bits_per_point=rounded / points)
        return replace(self, preset=None, most_bytes=size)

    def size(self, spec: SignalSpec, mask: int, points: int) -> int | None:
        """Bytes that the file may have; None where a quality is asked for. A preset is never too small.

        Args:
            spec: Of the signal.
            mask: Bytes that its mask takes.
            points: Of the scan; 0 where it is none.

        Raises:
            QuinrError: If a rate is above that of the signal without any compression.
        """
        if self.decibels is not None:
            return None
        if self.bits_per_point is not None:
            return _size_at("--bits-per-point", self.bits_per_point, points, spec)
        if self.most_bytes is not None:
            return self.most_bytes
        if self.bpp is not None:
            return _size_at("--bpp", self.bpp, spec.pixels, spec)
        from quinr_pl.codec.rate_control import FEWEST_BYTES

        return mask + max(FEWEST_BYTES, int(PRESETS[self.preset or USUAL_PRESET] * spec.pixels / 8))


def _size_at(flag: str, rate: float, count: int, spec: SignalSpec) -> int:
    """Bytes of a signal at so many bits for each of its pixels or points."""
    if rate * count > 8 * spec.value_bytes + 7:
        highest = 8 * spec.value_bytes / count
        raise QuinrError(f"{flag} {rate:g}: the signal has {highest:.4g} uncompressed; ask for less")
    return int(rate * count / 8)


def chamfer_in_decibels(metres: float) -> float:
    """About the PSNR of pixels, at a peak of 80 m, at which scans of KITTI have a Chamfer distance."""
    nearest, farthest = _CHAMFERS
    metres = min(max(metres, nearest), farthest)
    return _KITTI_PSNR + math.log(_KITTI_CHAMFER / metres) / _NEPERS_PER_DECIBEL
