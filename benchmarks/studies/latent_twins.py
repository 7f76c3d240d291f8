"""What the circuit of latent networks is worth: ``python -m benchmarks.studies.latent_twins``.

The circuit that `compress` takes, its twin with a hidden layer of ReLU of as many weights, and circuits
without entangling gates, with two entangling layers and without filters behind it are fitted to crops of
photographs alike. Writes data and plot, and prints the tables of docs/studies/latent_twins.md.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from benchmarks.crops import GRIDS, PHOTOGRAPH, Crop, network_of, train
from benchmarks.studies.study import Row, distinct, run, table
from quinr_pl.atomic_file import write_bytes
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "circuit": {},
    "ReLU": {"synthesis": "relu"},
    "no entangling gates": {"pairs": "none"},
    "two entangling layers": {"layers": 2},
    "no filters": {"filters": 0},
}
"""By what is other than in the circuit that `compress` takes with its usual effort."""
_USUAL: Mapping[str, Any] = {
    "qubits": 5,
    "angles": 10,
    "uploads": 2,
    "filters": 2,
    "neighbours": 24,
    "context_width": 24,
}
PICTURES = (
    "kodak/kodim05",
    "kodak/kodim15",
    "kodak/kodim23",
    "train/clic/davide-ragusa-716",
    "train/clic/kazuend-28556",
    "train/clic/vita-vilcina-3055",
)
BPP, DRAWS, STEPS = 0.2, 3, 800
_WEIGHT_BITS = 6.3
_FEW_GRIDS = 4  # of crops of the quick form


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("latent_twins", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits that are done lie in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    steps, draws = (4, 2) if quick else (STEPS, DRAWS)
    names = list(NETWORKS)[:2] if quick else list(NETWORKS)
    crops = _crops(quick)
    rows = [
        _fitted(folder, name, replace(crop, draw=number), steps)
        for number in range(draws)
        for crop in crops
        for name in names
    ]
    return {"bpp": BPP, "steps": steps, "fits": rows}


def _crops(quick: bool) -> list[Crop]:
    """Of the pictures, or small ones of the packaged photograph."""
    if not quick:
        root = Path(os.environ[ENVIRONMENT_VARIABLE])
        return [Crop.of(root / f"{picture}.png") for picture in PICTURES]
    sample = SampleDataModule(longer_side=96)
    sample.setup()
    whole = sample.values.astype(np.uint8)
    return [Crop(f"sample, {left}", np.ascontiguousarray(whole[:32, left : left + 48])) for left in (0, 48)]


def _fitted(folder: Path, name: str, crop: Crop, steps: int) -> Row:
    """Figures of a fit."""
    place = folder / f"{crop.name}-{crop.draw}-{name}-{steps}.json".replace(", ", "_").replace(" ", "_")
    if place.is_file():
        row: Row = json.loads(place.read_text())
        return row
    rate_weight = crop.rate_weight(BPP)
    arguments = {**_USUAL, **NETWORKS[name]}
    if min(crop.spec.shape) < 2**GRIDS:
        arguments["grids"] = _FEW_GRIDS
    network = network_of(crop.spec.shape, rate_weight, crop.seed, **arguments)
    figures = train(network, crop, steps)
    weights = sum(weight.numel() for weight in network.weights().values())
    bpp = figures["bpp"] + _WEIGHT_BITS * weights / PHOTOGRAPH
    row = {
        "network": name,
        "crop": crop.name,
        "draw": crop.draw,
        "weights": weights,
        "psnr": -10 * math.log10(figures["mse"]),
        "bpp": bpp,
        "cost": figures["mse"] + rate_weight * bpp,
    }
    write_bytes(place, json.dumps(row).encode())
    return row


def changes(rows: Sequence[Row], name: str) -> npt.NDArray[np.float64]:
    """Change of the cost beside the circuit of the same crop and draw, in %, (fits,)."""
    costs = {(row["network"], row["crop"], row["draw"]): row["cost"] for row in rows}
    pairs = [
        (row["cost"], costs["circuit", row["crop"], row["draw"]]) for row in rows if row["network"] == name
    ]
    return np.array([100 * (other / ours - 1) for other, ours in pairs])


def tables(found: Mapping[str, Any]) -> str:
    """The changes of the cost as a table, and those by crop as another one."""
    rows = found["fits"]
    head = [
        "network",
        "weights",
        "change of the cost, %",
        "standard error over crops",
        "dearer in",
        "sign test, p",
    ]
    lines, by_crop = [head], [["network", *distinct(rows, "crop")]]
    for name in distinct(rows, "network"):
        weights = next(row["weights"] for row in rows if row["network"] == name)
        if name == "circuit":
            lines.append([name, str(weights), "", "", "", ""])
            continue
        found_changes = changes(rows, name)
        crops = [row["crop"] for row in rows if row["network"] == name]
        means = [found_changes[[one == crop for one in crops]].mean() for crop in distinct(rows, "crop")]
        error = np.std(means, ddof=1) / math.sqrt(len(means))
        dearer = int((found_changes > 0).sum())
        p = binomtest(dearer, len(found_changes)).pvalue
        share = f"{dearer} of {len(found_changes)}"
        lines.append([name, str(weights), f"{found_changes.mean():+.1f}", f"{error:.1f}", share, f"{p:.4f}"])
        by_crop.append([name, *(f"{mean:+.1f}" for mean in means)])
    return f"{table(lines)}\n\n{table(by_crop)}"


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """The change of each fit's cost, a row for each network."""
    rows = found["fits"]
    names = [name for name in distinct(rows, "network") if name != "circuit"]
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(names) + 1.4), layout="constrained")
    for place, name in enumerate(names):
        values = changes(rows, name)
        axes.plot(values, np.full(len(values), place), "o", alpha=0.5, color="tab:blue")
        axes.plot(values.mean(), place, "|", markersize=22, markeredgewidth=3, color="black")
    axes.axvline(0, color="gray", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("change of the cost beside the circuit, % (a dot for each fit, a line for the mean)")
    return figure


if __name__ == "__main__":
    main()
