"""`quinr-pl compress` beside curves of other codecs: ``python -m benchmarks.compress_curves FOLDER PLOT``.

FOLDER holds what `benchmarks.compress_table` has made. Printed are the Bjøntegaard rates of each effort
against each other codec, how far its files lie from the envelope of Cool-Chic at 0.04 to 0.3 bits a pixel,
and files of the sizes that Cool-Chic's have. PLOT has a panel for each picture.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure

from benchmarks.compress_table import ANCHORS, COOL_CHIC, Row, difference, published_psnr
from quinr_pl.evaluation.rate_distortion import Points, bjontegaard_rate, envelope
from quinr_pl.experiments.published import kodak_image

_LOW = 0.04, 0.3
"""The least and the most bits a pixel of files that are compared with Cool-Chic's."""
_SAME = 0.01
"""Of a published file's rate, that ours may be below it."""
_COLUMNS = 3


def main() -> None:
    """Print the tables and draw the curves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compress_curves", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("plot", type=Path)
    options = parser.parse_args()
    rows = [json.loads(path.read_text()) for path in sorted(options.folder.glob("*-effort*.json"))]
    print("\n".join([*rates(rows), "", *below_cool_chic(rows), "", *at_published_points(rows)]))
    draw(rows, options.plot)


def rates(rows: Sequence[Row]) -> list[str]:
    """A table of Bjøntegaard rates in %, of pictures with at least two files of an effort."""
    names = [name for name in ANCHORS if any(row.get(name) is not None for row in rows)]
    lines = [
        f"| effort | image | files | {' | '.join(names)} |",
        "|---:|---|---:|" + "---:|" * len(names),
    ]
    for effort in _values(rows, "effort"):
        found: dict[str, list[float]] = {name: [] for name in names}
        for image in _values(rows, "image"):
            own = [row for row in rows if row["effort"] == effort and row["image"] == image]
            if len(own) < 2:
                continue
            differences = {name: bjontegaard_rate(_curve(own, name), _curve(own)) for name in names}
            for name, rate in differences.items():
                if rate is not None:
                    found[name].append(rate)
            cells = ["" if rate is None else f"{rate:+.1f}" for rate in differences.values()]
            lines.append(f"| {effort} | {image} | {len(own)} | {' | '.join(cells)} |")
        if any(found.values()):
            cells = [f"{mean(values):+.1f}" if values else "" for values in found.values()]
            lines.append(f"| {effort} | **mean** | | {' | '.join(cells)} |")
    return lines


def below_cool_chic(rows: Sequence[Row]) -> list[str]:
    """A table of what each file has above the envelope of Cool-Chic, in dB, with the mean of each effort."""
    lines = [
        "| effort | files | mean dB over Cool-Chic | smallest | largest | mean seconds |",
        "|---:|---:|" + 4 * "---:|",
    ]
    for effort in _values(rows, "effort"):
        low = [
            row
            for row in rows
            if row["effort"] == effort and row[COOL_CHIC] is not None and _LOW[0] <= row["bpp"] <= _LOW[1]
        ]
        if low:
            gains = [row["psnr"] - row[COOL_CHIC] for row in low]
            told = " | ".join(f"{gain:+.2f}" for gain in (mean(gains), min(gains), max(gains)))
            seconds = mean(row["encode_seconds"] for row in low)
            lines.append(f"| {effort} | {len(low)} | {told} | {seconds:.0f} |")
    return lines


def at_published_points(rows: Sequence[Row]) -> list[str]:
    """A table of files that have the size of one that Cool-Chic publishes, or up to 1 % less.

    Where another version's curve is higher at that rate, it counts. The last row of each effort is the mean.
    """
    lines = [
        f"| effort | image | bpp | PSNR | {' | '.join(f'over {name}' for name in ANCHORS)} "
        "| encode s | decode s |",
        "|---:|---|" + "---:|" * (len(ANCHORS) + 4),
    ]
    for effort in _values(rows, "effort"):
        own = sorted(
            (row for row in rows if row["effort"] == effort), key=lambda row: (row["image"], row["bpp"])
        )
        beside = [{**row, COOL_CHIC: _published_at(row)} for row in own]
        beside = [row for row in beside if row[COOL_CHIC] is not None]
        for row in beside:
            cells = [difference(row, name) for name in ANCHORS]
            lines.append(
                f"| {effort} | {row['image']} | {row['bpp']:.4f} | {row['psnr']:.2f} | {' | '.join(cells)} "
                f"| {row['encode_seconds']:.0f} | {row['decode_seconds']:.1f} |"
            )
        if beside:
            gains = (
                [row["psnr"] - row[name] for row in beside if row.get(name) is not None] for name in ANCHORS
            )
            cells = [f"{mean(values):+.2f}" if values else "" for values in gains]
            lines.append(f"| {effort} | **mean of {len(beside)}** | | | {' | '.join(cells)} | | |")
    return lines


def _published_at(row: Row) -> float | None:
    """What Cool-Chic has at the published rate that a file has or is just below; None where there is none."""
    curves = kodak_image(row["image"]).values()
    points = [point for curve in curves for point in curve.points if _LOW[0] <= point[0] <= _LOW[1]]
    near = [point for point in points if 1 - _SAME <= row["bpp"] / point[0] <= 1]
    if not near:
        return None
    rate, quality = min(near)
    return max(quality, published_psnr(row["image"], rate) or quality)  # of one point, there is no curve


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a panel for each picture into a file."""
    images = _values(rows, "image")
    columns = min(_COLUMNS, len(images))
    height = math.ceil(len(images) / columns)
    figure = Figure(figsize=(0.4 + 3.6 * columns, 0.8 + 3.1 * height), layout="constrained")
    axes = figure.subplots(height, columns, squeeze=False).ravel()
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    for axis, image in zip(axes[: len(images)], images, strict=True):
        own = [row for row in rows if row["image"] == image]
        for number, name in enumerate(name for name in ANCHORS if name != COOL_CHIC):
            _line(axis, _curve(own, name), name, color=f"C{number + 1}")
        published = envelope(point for curve in kodak_image(image).values() for point in curve.points)
        least, most = min(row["bpp"] for row in own), max(row["bpp"] for row in own)
        near = [point for point in published if 0.6 * least <= point[0] <= 1.2 * most]
        _line(axis, near, f"{COOL_CHIC}, all versions", color="0.5", linestyle="--")
        for effort in _values(own, "effort"):
            curve = _curve([row for row in own if row["effort"] == effort])
            _line(axis, curve, f"quINR, effort {effort}", **_style(effort))
        axis.set(xscale="log", title=image, xlabel="bits a pixel", ylabel="PSNR (dB)")
        axis.grid(alpha=0.3, which="both")
    drawn = [axis.get_legend_handles_labels() for axis in axes]
    handles = {name: line for lines, names in drawn for line, name in zip(lines, names, strict=True)}
    told = sorted(handles)
    figure.legend([handles[name] for name in told], told, loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)


def _style(effort: int) -> dict[str, object]:
    if effort == 3:
        return {"color": "black", "linewidth": 2.2}
    return {
        "color": "C0",
        "linestyle": "",
        "marker": {1: "v", 2: "s", 4: "^", 5: "*"}[effort],
        "markersize": 6,
    }


def _line(axis, points: Points, label: str, **style: object) -> None:
    if points:
        axis.plot(*zip(*points, strict=True), label=label, **({"marker": "o", "markersize": 3} | style))


def _values(rows: Iterable[Row], name: str) -> list:
    return sorted({row[name] for row in rows})


def _curve(rows: Iterable[Row], name: str = "psnr") -> list[tuple[float, float]]:
    """Points of our files, or of the codec that a column is of."""
    return sorted((row["bpp"], row[name]) for row in rows if row.get(name) is not None)


if __name__ == "__main__":
    main()
