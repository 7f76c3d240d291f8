"""Rate-distortion curves and crops as pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image

from quinr_pl.evaluation.rate_distortion import Points
from quinr_pl.signals.drawing import Picture

_MARKERS = "osD^vP*X<>hd"


def rate_distortion_figure(
    measured: Mapping[str, Points],
    title: str,
    published: Mapping[str, Points] | None = None,
    quality: str = "PSNR (dB)",
    rate: str = "bits per pixel",
) -> Figure:
    """Curves of quality against rate.

    Args:
        measured: Method -> pairs of rate and quality: lines with markers.
        title: Above the curves.
        published: Curves of others: thin dashed lines, cut to the rates that were measured.
        quality: Label of the vertical axis.
        rate: Label of the horizontal axis.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for index, (method, points) in enumerate(measured.items()):
        columns = np.array(points).T
        axes.plot(*columns, marker=_MARKERS[index % len(_MARKERS)], markersize=5, label=method, zorder=3)
    rates = [bpp for points in measured.values() for bpp, _ in points]
    low, high = 0.7 * min(rates), 1.4 * max(rates)
    for index, (method, points) in enumerate((published or {}).items()):
        inside = np.array([pair for pair in points if low <= pair[0] <= high])
        if len(inside):
            shade = str(0.25 + 0.5 * index / max(len(published or {}) - 1, 1))
            axes.plot(*inside.T, "--", marker=".", color=shade, linewidth=1, label=f"{method} (published)")
    axes.set(xscale="log", xlim=(low, high), xlabel=rate, ylabel=quality, title=title)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    return figure


def search_figure(trials: Sequence[tuple[int, float]], title: str) -> Figure:
    """The progress of a search: each trial's quality and the best so far.

    Args:
        trials: Number and quality in dB of whole trials.
        title: Above the plot.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    numbers, qualities = np.array(sorted(trials)).T
    axes.plot(numbers, qualities, "o", markersize=5, label="trial")
    axes.step(numbers, np.maximum.accumulate(qualities), where="post", label="best so far")
    axes.set(xlabel="trial", ylabel="PSNR (dB)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def front_figure(front: Points, others: Points, anchors: Mapping[str, Points], title: str) -> Figure:
    """The files of a search, those that no other beats, and curves of anchors.

    Args:
        front: Pairs of bytes and PSNR in dB, by rising size.
        others: Those of the other files.
        anchors: Method -> pairs of its files: dashed lines.
        title: Above the plot.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if others:
        axes.plot(*np.array(others).T, "o", color="0.6", markersize=4, label="trial")
    axes.plot(*np.array(front).T, "-o", markersize=5, label="front", zorder=3)
    for index, (method, points) in enumerate(anchors.items()):
        axes.plot(*np.array(points).T, "--", marker=".", color=f"C{index + 1}", linewidth=1, label=method)
    axes.set(xscale="log", xlabel="bytes", ylabel="PSNR (dB)", title=title)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    return figure


def svg(figure: Figure) -> str:
    """A figure as SVG, the same text for the same figure."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "quinr", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150, metadata={"Software": None})
    return data.getvalue()


def enlarged(picture: Picture, zoom: int = 1) -> bytes:
    """A picture as PNG, each of its pixels ``zoom`` across and down."""
    pixels = picture.repeat(zoom, 0).repeat(zoom, 1)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", optimize=True)
    return data.getvalue()
