"""The projection of laser scans to range images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quinr_pl.datamodules.beam_rays import beams_of
from quinr_pl.datamodules.beams import find_beams
from quinr_pl.datamodules.mask_gaps import close_gaps, smoothed
from quinr_pl.datamodules.notice import notice
from quinr_pl.datamodules.scan_layout import columns_of, field_of, sector_of
from quinr_pl.errors import QuinrError
from quinr_pl.fields import require_at_least
from quinr_pl.signals import RANGE_IMAGE, Intensity, Scanner, Signal, SignalSpec
from quinr_pl.signals.scanner import MOST_FIRINGS, UNITS

PROJECTIONS = ("field_of_view", "beam_order", "auto")
_HIGHEST_PEAK = 1e5  # metres: of scanners in the air
_HARDLY_BEYOND = 1.01  # times the peak: a scanner's farthest points tell its reach to about as much
_MOST_PIXELS = 1 << 24  # as many as the largest scan has points
_FIELD_ROWS = 64  # of a scan whose beams are not known
_SAME_SURFACE = 0.05  # of the nearest range in a pixel: how far behind it points of its surface lie


@dataclass(frozen=True)
class Projection:
    """How a scan becomes a range image.

    Args:
        method: "field_of_view" takes the row from a point's elevation (RangeNet++, Milioto et al. 2019);
            "beam_order" gives each beam a row, which leaves fewer holes and collisions, see `find_beams`;
            "auto" takes beams where they are found and neither height nor field of view speak against it.
        height: Rows of the range image; None for the number of beams, or 64 where they are not known.
        width: Columns of a full turn; None for one in two firings of the scanner, and of a cropped scan only
            the sector that it fills.
        fov_up: Elevation of the upper edge in degrees, for "field_of_view"; None for that of the scan.
        fov_down: Elevation of the lower edge in degrees, negative below the horizon; None for that of the
            scan.
        peak: Range in metres that target 1 stands for; longer ranges are cut to it. None for that of the
            scan, see `reaching`.
        mask: Whether the file says which pixels have a return, so that the network need not.
        gaps: Pixels of the longest gap in a row that the mask closes, see `close_gaps`; 0 for none. The mask
            is smoothed then, too. The file is smaller by up to a third, and has points in gaps, between those
            on both sides.
        intensity: How much intensities weigh beside ranges, in steps of 0.01 up to 1; 0 leaves them out.
        firings: Points that the decoder gives for each pixel, see `Scanner`. Of several the range is that
            between the pixel's points, see `PlacedPoints.ranges`.

    Raises:
        QuinrError: If a value is out of its domain.
    """

    method: str = "field_of_view"
    height: int | None = 64
    width: int | None = 1024
    fov_up: float | None = 3.0
    fov_down: float | None = -25.0
    peak: float | None = 80.0
    mask: bool = True
    gaps: int = 0
    intensity: float = 0.0
    firings: int = 1

    def __post_init__(self) -> None:
        if self.method not in PROJECTIONS:
            raise QuinrError(f"--data.projection {self.method}: choose from {', '.join(PROJECTIONS)}")
        require_at_least(1, {"--data.height": self.height, "--data.width": self.width})
        up, down = (90 if edge is None else edge for edge in (self.fov_up, self.fov_down))
        if not (
            -90 <= up <= 90 and -90 <= down <= 90 and (down < up or None in (self.fov_up, self.fov_down))
        ):
            raise QuinrError(
                f"--data.fov_up {self.fov_up} and --data.fov_down {self.fov_down}: need "
                "-90 <= fov_down < fov_up <= 90 degrees"
            )
        if self.peak is not None and not 0 < self.peak <= _HIGHEST_PEAK:
            raise QuinrError(f"--data.peak {self.peak:g}: must lie between 0 and {_HIGHEST_PEAK:g} metres")
        require_at_least(0, {"--data.gaps": self.gaps})
        if not 1 <= self.firings <= MOST_FIRINGS:
            raise QuinrError(f"--data.firings {self.firings}: must lie between 1 and {MOST_FIRINGS}")
        if self.intensity and not 0.005 <= self.intensity <= 1:
            raise QuinrError(f"--data.intensity {self.intensity}: from 0.01 to 1, or 0 for none")

    def reaching(self, farthest: float) -> float:
        """The peak of a scan.

        Left to the scan it is the smallest of 10 and 15 metres, times a power of 2, beyond which its points
        lie by 1 % at most: few values, as frames of one file share theirs. Ranges that fill a tenth of the
        scale have an 18 % larger Chamfer distance at 0.2 bits a point.

        Args:
            farthest: Of its ranges in metres, finite and positive.
        """
        if self.peak is not None:
            return self.peak
        least = farthest / _HARDLY_BEYOND
        octave = 2.0 ** math.floor(math.log2(least / 10))
        peaks = (10 * octave, 15 * octave, 20 * octave, 30 * octave)
        return min(next(peak for peak in peaks if peak >= least), _HIGHEST_PEAK)

    def spec(
        self,
        ranges: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        scanner: Scanner | None,
        peak: float,
    ) -> SignalSpec:
        """The spec of a range image, its mask in it if the projection says so.

        Args:
            ranges: (rows, columns), in metres.
            valid: (rows, columns), where there is a return.
            scanner: Rays of its pixels, where they are known.
            peak: As `reaching` gives it.
        """
        mask = close_gaps(ranges, valid, self.gaps) if self.mask else None
        if mask is not None and self.gaps:
            mask = smoothed(mask)
        return SignalSpec(RANGE_IMAGE, valid.shape, 1, low=0.0, high=peak, mask=mask, scanner=scanner)


@dataclass(frozen=True)
class PlacedPoints:
    """Points of a scan, each with the pixel that it goes to.

    Args:
        xyz: (points, 3), in metres.
        distance: (points,), from the scanner.
        row: (points,).
        column: (points,).
        shape: Rows and columns of the range image.
        scanner: Rays that lead back to the points: of beams as these tell them, else of even rows.
        seen: Which points of the scan they are: those away from the scanner.
        peak: In metres, to which ranges are cut.
    """

    xyz: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    shape: tuple[int, int]
    scanner: Scanner
    seen: npt.NDArray[np.bool_]
    peak: float

    @property
    def pixel(self) -> npt.NDArray[np.int64]:
        """Number of each point's pixel, row after row: (points,)."""
        return self.row * self.shape[1] + self.column

    def image(self, numbers: npt.NDArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Of each pixel the number of its nearest point, 0 without any, and whether there is one.

        Args:
            numbers: (points,).
        """
        pixel = self.pixel
        order = np.lexsort((self.distance, pixel))
        pixels, first = np.unique(pixel[order], return_index=True)
        image, valid = np.zeros(self.shape, np.float32), np.zeros(self.shape, bool)
        image.flat[pixels], valid.flat[pixels] = numbers[order[first]], True
        return image, valid

    def ranges(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Of each pixel the distance of its nearest point, cut to the peak, and whether there is one.

        Where a pixel gives several points back, its range is the mean of those on the nearest one's surface.

        Returns:
            (rows, columns) metres, 0 without a point; and (rows, columns).
        """
        distance = np.minimum(self.distance, self.peak)
        nearest, valid = self.image(distance)
        if self.scanner.firings == 1:
            return nearest, valid
        alike = distance <= (1 + _SAME_SURFACE) * nearest[self.row, self.column]
        pixel = self.pixel[alike]
        count = np.bincount(pixel, minlength=valid.size)
        total = np.bincount(pixel, distance[alike], valid.size)
        return (total / np.maximum(count, 1)).reshape(self.shape).astype(np.float32), valid


def project(
    points: npt.NDArray[np.float32], projection: Projection, name: str = "scan"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Range image of a scan: where several points meet in a pixel, the nearest wins, or its surface does.

    A line on stderr says how many points the image does not hold as they are.

    Args:
        points: (points, 3 or more): x forward, y left, z up, in metres.
        projection: Size, field of view and kind of the projection.
        name: Of the scan, for messages.

    Returns:
        (height, width) float32 metres, 0 where there is no return, cut to the peak, see
        `PlacedPoints.ranges`; and (height, width) bool, True where there is a return.

    Raises:
        QuinrError: If no point is left, or there are no beams that "beam_order" could tell apart.
    """
    return place(points, projection, name).ranges()


def place(points: npt.NDArray[np.float32], projection: Projection, name: str) -> PlacedPoints:
    """The pixel of each point, and the rays of the pixels; arguments and errors are those of `project`."""
    distance = np.linalg.norm(points[:, :3].astype(np.float64), axis=1)
    seen = distance > 0
    if not seen.any():
        raise QuinrError(f"{name}: no point away from the scanner, nothing to project")
    points, distance = points[seen], distance[seen]
    xyz = points[:, :3].astype(np.float64)
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    beams = _beam_rows(points, projection, name)
    sector = sector_of(azimuth) if projection.width is None else Scanner.FULL_TURN
    width = projection.width or columns_of(azimuth, beams, sector[1])
    outside, edges = 0, (0.0, 0.0)
    height = projection.height or (_FIELD_ROWS if beams is None else int(beams.max()) + 1)
    if height * width > _MOST_PIXELS:
        raise QuinrError(
            f"{name}: --data.height {height} and --data.width {width}: more than {_MOST_PIXELS} pixels"
        )
    if beams is not None:
        row = beams
        scanner = beams_of(xyz, row, height)
    else:
        sine = xyz[:, 2] / distance
        edges = _edges(sine, projection)
        share = _elevation_share(sine, *edges)
        row, outside = _bins(share, height), int(np.sum((share < 0) | (share > 1)))
        scanner = Scanner.even(height, *(round(edge * UNITS) for edge in edges))
    scanner = replace(scanner, start=sector[0], turn=sector[1], firings=projection.firings)
    peak = projection.reaching(float(distance.max()))
    beyond = int((distance > peak).sum())
    _say_what_is_changed(len(points), beyond, outside, edges, peak, name)
    columns = scanner.columns(azimuth, width)
    return PlacedPoints(xyz, distance, row, columns, (height, width), scanner, seen, peak)


def _say_what_is_changed(
    count: int, beyond: int, outside: int, edges: tuple[float, float], peak: float, name: str
) -> None:
    changes = []
    if beyond:
        changes.append(f"{beyond} lie beyond --data.peak {peak:g} and are cut to it")
    if outside:
        changes.append(
            f"{outside} lie outside of --data.fov_down {edges[1]:g} to --data.fov_up {edges[0]:g} and go to "
            "the edge rows"
        )
    if changes:
        notice(f"{name}: of {count} points {', '.join(changes)}")


def range_image_signal(
    points: npt.NDArray[np.float32],
    projection: Projection,
    name: str,
    intensities: npt.NDArray[np.float32] | None = None,
) -> Signal:
    """The range image of a scan as a signal, its mask in the spec if the projection says so.

    Args:
        points: As of `project`, as for the following two.
        projection: Whose ``intensity`` says whether there is a second channel.
        name: Of the scan, for messages.
        intensities: (points,), where the scan has any.

    Raises:
        QuinrError: As `project` does; or if intensities are asked for and there are none.
    """
    placed = place(points, projection, name)
    ranges, valid = placed.ranges()
    spec = projection.spec(ranges, valid, placed.scanner, placed.peak)
    values = ranges[:, :, None]
    if projection.intensity:
        if intensities is None:
            raise QuinrError(f"{name}: has no intensities; leave --data.intensity out")
        intensity = Intensity.of(intensities, projection.intensity)
        targets, _ = placed.image(intensity.to_targets(intensities[placed.seen]))
        values = np.stack([ranges, (spec.high * targets).astype(np.float32)], axis=2)
        spec = replace(spec, channels=2, intensity=intensity)
    return Signal(values, spec, valid, placed.xyz.astype(np.float32))


def _beam_rows(
    points: npt.NDArray[np.float32], projection: Projection, name: str
) -> npt.NDArray[np.int64] | None:
    """The row of each point by its beam; None for rows by elevation."""
    automatic, height = projection.method == "auto", projection.height
    if projection.method == "field_of_view" or (automatic and projection.fov_up is not None):
        return None
    beam = find_beams(points)
    if beam is None:
        if automatic:
            return None
        raise QuinrError(
            f"{name}: --data.projection beam_order finds no beams in the order of the points; take "
            "field_of_view"
        )
    found = int(beam.max()) + 1
    # Rows that stay empty in half of the image mean another scanner.
    if height is None or height < 2 * found <= 2 * height:
        return beam
    if automatic:
        return None
    raise QuinrError(
        f"{name}: --data.projection beam_order finds {found} beams for --data.height {height}; set "
        f"--data.height {found}, or take field_of_view"
    )


def _edges(sine: npt.NDArray[np.float64], projection: Projection) -> tuple[float, float]:
    """Upper and lower edge of the field of view in degrees: those asked for, else those of the scan."""
    up, down = field_of(np.arcsin(np.clip(sine, -1.0, 1.0)))
    up = up if projection.fov_up is None else projection.fov_up
    down = down if projection.fov_down is None else projection.fov_down
    return (up, down) if down < up else (up, up - 1.0)


def _elevation_share(sine: npt.NDArray[np.float64], up: float, down: float) -> npt.NDArray[np.float64]:
    """How far from the upper edge of the field of view to the lower one: 0 to 1 within it."""
    pitch = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    return 1.0 - (pitch - down) / (up - down)


def _bins(share: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.clip(np.floor(share * count), 0, count - 1).astype(np.int64)
