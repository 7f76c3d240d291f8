"""The files of a comparison's report: tables, plots, a page and TensorBoard's curves."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.experiments import plots, published, table
from quinr_pl.experiments.clouds import clouds_figure
from quinr_pl.experiments.comparison import Comparison, load_data, reconstruct
from quinr_pl.experiments.report import Crop, Report
from quinr_pl.experiments.sweep import Job, folder_name, read_result
from quinr_pl.signals.drawing import Picture

REPORT = "report"


def write_report(comparison: Comparison, jobs: Sequence[Job], folder: Path) -> None:
    """Writes results.csv, results.json, a plot of each image, index.html and TensorBoard's curves."""
    rows = [_row(job, folder) for job in jobs]
    target = folder / REPORT
    make_folder(target)
    write_bytes(target / "results.csv", table.write_csv(rows).encode())
    write_bytes(target / "results.json", table.write_json(rows, comparison.anchors).encode())
    rates = _RATES | {"bpp": f"bits per {load_data(jobs[0]).spec.kind.unit}"}
    drawn: dict[str, list[str]] = {}
    sources: dict[str, str] = {}
    by_image = table.curves(rows)
    for image, curves in by_image.items():
        others = _published(image, by_image) if comparison.published else {}
        sources |= {name: curve.source for name, curve in others.items()}
        points = {name: curve.points for name, curve in others.items()}
        figure = plots.rate_distortion_figure(curves, image, points, rate=rates["bpp"])
        drawn[image] = [_draw(figure, target / folder_name(image))]
    for plot in _OF_KINDS:
        if not all(plot.quality in row and plot.rate in row for row in rows):
            continue
        others = published.scan_curves(plot.quality) if comparison.published else {}
        sources |= {name: curve.source for name, curve in others.items()}
        points = {name: curve.points for name, curve in others.items()}
        for image, curves in table.curves(rows, plot.quality, plot.rate).items():
            figure = plots.rate_distortion_figure(curves, image, points, plot.label, rates[plot.rate])
            drawn[image].append(_draw(figure, target / f"{folder_name(image)}_{plot.quality}"))
    crops, clouds = _pictures(jobs, folder, comparison.crop)
    page = Report(
        f"Rate and distortion: {folder.name}",
        rows,
        table.summary(rows, comparison.anchors),
        drawn,
        crops,
        [_NOTE],
        sources,
        clouds,
    )
    write_bytes(target / "index.html", page.html().encode())
    _write_tensorboard(rows, target / "tensorboard")


class _Plot(NamedTuple):
    quality: str
    label: str
    rate: str = "bits_per_point"


_OF_KINDS = (
    _Plot("psnr_valid", "PSNR over pixels with a return (dB)", "bpp"),
    _Plot("rmse_valid", "RMSE over pixels with a return (m)", "bpp"),
    _Plot("chamfer", "Chamfer distance (m)"),
    _Plot("d1_psnr", "D1 PSNR, peak 59.7 m (dB)"),
    _Plot("d2_psnr", "D2 PSNR, peak 59.7 m (dB)"),
    _Plot("snr", "SNR (dB)", "kbit_per_second"),
)
"""What is drawn where every file has it."""
_RATES = {"bits_per_point": "bits per point", "kbit_per_second": "kbit/s"}
"""How plots call what their rates are counted in."""


def _draw(figure: Figure, path: Path) -> str:
    """Writes a figure as SVG and PNG; gives the SVG."""
    drawn = plots.svg(figure)
    write_bytes(path.with_name(f"{path.name}.svg"), drawn.encode())
    write_bytes(path.with_name(f"{path.name}.png"), plots.png(figure))
    return drawn


_NOTE = (
    "Bits per pixel (bpp) are 8 x file size / pixels, or samples of audio, and every quality is that of the "
    "decoded file. Bjøntegaard differences are means over the range that both curves reach: a negative rate "
    "and a positive PSNR are better than the anchor."
)


def _row(job: Job, folder: Path) -> dict[str, Any]:
    result = read_result(job, folder)
    assert result is not None, "only finished jobs are reported"
    return {**result, "file": str(job.folder / result["file"])}


def _published(image: str, images: Collection[str]) -> dict[str, published.PublishedCurve]:
    """Curves of others on Kodak for one of several images, or for their average where all are Kodak's."""
    if image != table.AVERAGE:
        return published.kodak_image(image)
    whole = all(published.kodak_image(name) for name in images if name != table.AVERAGE)
    return published.kodak_averages() if whole else {}


def _pictures(
    jobs: Sequence[Job], folder: Path, crop: tuple[int, int]
) -> tuple[dict[str, list[Crop]], dict[str, list[Crop]]]:
    """The middle of each image, as it is and of each method at the point nearest to one rate; and points."""
    middles: dict[str, list[Crop]] = {}
    clouds: dict[str, list[Crop]] = {}
    for image in dict.fromkeys(job.image for job in jobs):
        own = [job for job in jobs if job.image == image]
        results = {job.folder: _row(job, folder) for job in own}
        first = [job for job in own if job.method == own[0].method]
        target = sorted(results[job.folder]["bpp"] for job in first)[len(first) // 2]
        for method in dict.fromkeys(job.method for job in own):
            candidates = [job for job in own if job.method == method]
            job = min(candidates, key=lambda job: abs(math.log(results[job.folder]["bpp"] / target)))
            result = results[job.folder]
            data, decoded, points = reconstruct(job, folder / job.folder, Path(result["file"]).name)
            original = Crop("original", _crop(data.spec.picture(data.values), crop))
            caption = f"{method}: {result['psnr']:.2f} dB at {result['bpp']:.4f} bpp"
            shown = Crop(caption, _crop(data.spec.picture(decoded), crop))
            middles.setdefault(image, [original]).append(shown)
            if data.points is not None and points is not None:
                caption = (
                    f"{method}: Chamfer distance {result['chamfer']:.3f} m, D1 {result['d1_psnr']:.2f} dB at "
                    f"{result['bits_per_point']:.3f} bits a point"
                )
                picture = plots.png(clouds_figure(data.points, points))
                clouds.setdefault(image, []).append(Crop(caption, picture))
    return middles, clouds


def _crop(picture: Picture, size: tuple[int, int]) -> bytes:
    starts = [max(0, (have - want) // 2) for have, want in zip(picture.shape[:2], size, strict=True)]
    part = picture[starts[0] : starts[0] + size[0], starts[1] : starts[1] + size[1]]
    return plots.enlarged(part, zoom=max(1, 256 // min(part.shape[:2]) // 2 + 1))


def _write_tensorboard(rows: Sequence[Any], folder: Path) -> None:
    """PSNR of every image against thousandths of a bit per pixel, a run for each method."""
    if folder.exists():
        for old in folder.rglob("events.*"):
            old.unlink()
    for image, methods in table.curves(rows).items():
        for method, points in methods.items():
            run = str(folder / folder_name(method))
            writer = SummaryWriter(run, filename_suffix=f".{folder_name(image)}")
            for bpp, psnr in points:
                writer.add_scalar(f"psnr at thousandths of a bpp/{image}", psnr, round(1000 * bpp))
            writer.close()
