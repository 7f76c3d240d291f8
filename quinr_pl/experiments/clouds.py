"""Pictures of points: those of a scan beside decoded ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from quinr_pl.signals import Points
from quinr_pl.signals.point_distortion import nearest

_BRIGHTEST = 1.0  # metres: what error has the brightest colour
_SHOWN = 0.98  # of the points lie within the view from above
_DOT = 0.3  # square points


def clouds_figure(points: Points, decoded: Points) -> Figure:
    """Points of a scan on the left and decoded ones on the right, from above and from the sensor.

    The colour of a point is how far the nearest one on the other side is: on the left what is missing shows,
    on the right what should not be there.

    Args:
        points: Of the scan, (points, 3) in metres.
        decoded: (any number, 3).
    """
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    above, ahead = figure.subplots(2, 2, height_ratios=(3, 1))
    reach = float(np.quantile(np.abs(points[:, :2]).max(axis=1), _SHOWN))
    sides = [("the scan", points, decoded), (f"decoded, {len(decoded):,} points", decoded, points)]
    for top, bottom, (title, own, others) in zip(above, ahead, sides, strict=True):
        error = nearest(own, others)[0] if len(own) and len(others) else np.full(len(own), 2 * _BRIGHTEST)
        x, y, z = own.astype(np.float64).T
        drawn = _draw(top, -y, x, error)
        top.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        top.set(xlabel="right (m)", ylabel="forward (m)")
        _draw(bottom, -np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y))), error)
        bottom.set(xlim=(-180, 180), xlabel="clockwise from forward (°)", ylabel="up (°)")
    figure.colorbar(drawn, ax=[*above, *ahead], label="distance to the nearest point (m)", extend="max")
    return figure


def _draw(axes: Axes, across: npt.NDArray, up: npt.NDArray, error: npt.NDArray) -> PathCollection:
    """Dots, the worst ones on top."""
    order = np.argsort(error)
    return axes.scatter(
        across[order], up[order], _DOT, error[order], cmap="turbo", vmin=0, vmax=_BRIGHTEST, linewidths=0
    )
