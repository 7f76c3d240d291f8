"""Rate-distortion points that others published, on Kodak and on scans of KITTI."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PublishedCurve:
    """A curve and where it comes from.

    Args:
        method: Name of the method.
        source: Repository and file that publish it.
        points: Pairs of bits per pixel and PSNR in dB, or of bits per point and another figure, by rising
            rate.
    """

    method: str
    source: str
    points: Points


@cache
def kodak_averages() -> dict[str, PublishedCurve]:
    """Means over the 24 images, by method, as each source publishes them."""
    curves = _data()["average"].items()
    return {method: PublishedCurve(method, c["source"], _points(c["points"])) for method, c in curves}


@cache
def kodak_image(image: str) -> dict[str, PublishedCurve]:
    """Curves of one image, by method; none for an image of another name."""
    return {
        method: PublishedCurve(method, curves["source"], _points(curves["points"][image]))
        for method, curves in _data()["per_image"].items()
        if image in curves["points"]
    }


@cache
def scan_curves(quality: str) -> dict[str, PublishedCurve]:
    """Curves of codecs of points on KITTI, by method: bits per point, and ``chamfer`` or ``d1_psnr``."""
    curves = json.loads(files(__package__).joinpath("scans_rd.json").read_text()).items()
    return {
        method: PublishedCurve(method, curve["source"], _points(curve[quality]))
        for method, curve in curves
        if quality in curve
    }


def _points(pairs: list[list[float]]) -> Points:
    return tuple(sorted((bpp, psnr) for bpp, psnr in pairs))


@cache
def _data() -> dict[str, dict]:
    return json.loads(files(__package__).joinpath("kodak_rd.json").read_text())
