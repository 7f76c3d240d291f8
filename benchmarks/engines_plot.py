"""The plot of the engine benchmark: rate of a training step against batch, one panel a circuit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the training steps of the results into a file."""
    rows = [row for row in rows if row["mode"] == "train"]
    cases = list(dict.fromkeys(_title(row) for row in rows))
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    figure = Figure(figsize=(1 + 3.6 * len(cases), 4.2), layout="constrained")
    axes = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    for axis, case in zip(axes, cases, strict=True):
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
    axes[0].set_ylabel("training step, coordinates/s")
    handles = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside right center")
    figure.savefig(path, dpi=130)


def _title(row: dict[str, Any]) -> str:
    return f"{row['qubits']} qubits, {row['folds']} folds, {row['uploads']}×{row['layers']}"
