"""The plot of the engine benchmark: rate of a training step against batch, one panel a circuit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_COLUMNS = 4


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the training steps of the results into a file."""
    rows = [row for row in rows if row["mode"] == "train"]
    cases = list(dict.fromkeys(_title(row) for row in rows))
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    columns = min(len(cases), _COLUMNS)
    height = -(-len(cases) // columns)
    figure = Figure(figsize=(2 + 3.4 * columns, 0.4 + 3.4 * height), layout="constrained")
    axes = figure.subplots(height, columns, sharey=True, squeeze=False).ravel()
    for axis in axes[len(cases) :]:
        axis.set_axis_off()
    for axis, case in zip(axes[: len(cases)], cases, strict=True):
        for number, engine in enumerate(engines):
            points = sorted(
                (row["batch"], row["coords_per_s"])
                for row in rows
                if row["engine"] == engine and _title(row) == case
            )
            if points:
                style = {"linewidth": 2.5, "color": "black"} if engine == "cpu" else {"color": f"C{number}"}
                axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=engine, **style)
        axis.set(xscale="log", yscale="log", title=case, xlabel="batch")
        axis.grid(alpha=0.3)
    figure.supylabel("training step, coordinates/s")
    drawn = [axis.get_legend_handles_labels() for axis in axes]
    handles = {name: line for lines, names in drawn for line, name in zip(lines, names, strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right center")
    figure.savefig(path, dpi=130)


def _title(row: dict[str, Any]) -> str:
    return f"{row['qubits']} qubits, {row['folds']} folds, {row['uploads']}×{row['layers']}"
