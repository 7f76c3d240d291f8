"""The figures of a sweep as rows, curves and differences between curves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quinr_pl.evaluation.rate_distortion import Points, average, bjontegaard_psnr, bjontegaard_rate
from quinr_pl.signals.kinds import figures_of_kinds

Row = Mapping[str, Any]
AVERAGE = "average"

# Columns of figures; what kinds of signal measure beyond the PSNR goes between the two.
_QUALITY = ("image", "method", "point", "seed", "bpp", "psnr")
_COST = ("bytes", "parameters", "encode_seconds", "decode_seconds", "file", "command")


def write_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; columns that no row has are left out."""
    known = (*_QUALITY, *figures_of_kinds(), *_COST)
    columns = [column for column in known if any(row.get(column) is not None for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_json(rows: Sequence[Row], anchors: Sequence[str]) -> str:
    """Rows, curves and differences as JSON."""
    return json.dumps({"rows": list(rows), "summary": summary(rows, anchors)}, indent=2) + "\n"


def curves(rows: Sequence[Row], quality: str = "psnr", rate: str = "bpp") -> dict[str, dict[str, Points]]:
    """Image -> method -> pairs of rate and quality, means over the seeds, by rising rate.

    Where there are several images, "average" holds the means over those that all methods have.

    Args:
        rows: The figures of every job.
        quality: Column that every row has.
        rate: Another one.
    """
    points = _by_point(rows, quality, rate)
    found: dict[str, dict[str, Points]] = {
        image: {method: sorted(pairs.values()) for method, pairs in methods.items()}
        for image, methods in points.items()
    }
    if len(points) > 1:
        methods = dict.fromkeys(method for image in points.values() for method in image)
        complete = [method for method in methods if all(method in image for image in points.values())]
        found[AVERAGE] = {
            method: average({image: points[image][method] for image in points}) for method in complete
        }
    return found


def summary(rows: Sequence[Row], anchors: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Image -> method -> its points, and its Bjøntegaard differences against each anchor."""
    return {
        image: {
            method: {
                "points": [list(pair) for pair in points],
                **{
                    f"against {anchor}": {
                        "bd_rate_percent": bjontegaard_rate(methods[anchor], points),
                        "bd_psnr_db": bjontegaard_psnr(methods[anchor], points),
                    }
                    for anchor in anchors
                    if anchor in methods and anchor != method
                },
            }
            for method, points in methods.items()
        }
        for image, methods in curves(rows).items()
    }


def _by_point(
    rows: Sequence[Row], quality: str, rate: str
) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for row in rows:
        key = row["image"], row["method"], row["point"]
        groups.setdefault(key, []).append((row[rate], row[quality]))
    found: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    for (image, method, point), pairs in groups.items():
        mean_rate, mean = np.mean(pairs, axis=0)
        found.setdefault(image, {}).setdefault(method, {})[point] = float(mean_rate), float(mean)
    return found
