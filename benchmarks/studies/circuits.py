"""What circuits can draw: ``python -m benchmarks.studies.circuits``.

Of circuits that differ in one thing each: the Fourier spectrum of their outputs, their expressibility and
entangling capability, the variance of their gradients, and the PSNR that they reach behind a SIREN layer
whose width makes up for their parameters. Writes data and plot, and prints the tables of
docs/studies/circuits.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from benchmarks.studies.circuit_measures import (
    bandwidth,
    entanglement,
    expressibility,
    gradient_variances,
    highest_frequency,
    random_states,
    spectrum_along_coordinate,
    spectrum_of_angle,
)
from benchmarks.studies.signals import photograph
from benchmarks.studies.study import column, fitted, matched, run, spread, table, with_network
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.network import QuINR

BASE = Ansatz(qubits=4, angles=8, uploads=2, layers=1, features="own", pairs="ordered")
"""Two folds on four qubits, twice, CRZ on all pairs."""
CIRCUITS: Mapping[str, Ansatz] = {
    "base": BASE,
    **{f"{folds} fold{'s' * (folds > 1)}": replace(BASE, angles=4 * folds) for folds in (1, 3, 4)},
    "2 qubits": replace(BASE, qubits=2, angles=4),
    "6 qubits": replace(BASE, qubits=6, angles=12),
    "1 upload": replace(BASE, uploads=1),
    "4 uploads": replace(BASE, uploads=4),
    "2 layers": replace(BASE, layers=2),
    "4 layers": replace(BASE, layers=4),
    "shared uploads": replace(BASE, features="shared", shuffle=False),
    "shuffled uploads": replace(BASE, features="shared"),
    "ring": replace(BASE, pairs="ring"),
    "no CRZ": replace(BASE, pairs="none"),
}
"""What differs from the base."""
PARAMETERS = 500
MEASURES = {
    "bandwidth": "99 % of the power up to",
    "expressibility": "expressibility",
    "entanglement": "entanglement",
    "gradient": "variance of gradients",
}
QUBITS = (2, 3, 4, 5, 6, 7, 8)
DEPTHS = (1, 2, 4, 8, 16)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("circuits", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder."""
    draws, states, seeds = (2, 100, 2) if quick else (32, 4_000, 5)
    names = ["base", "no CRZ"] if quick else list(CIRCUITS)
    gradients = {
        "qubits": [
            _gradients(replace(BASE, qubits=n, angles=2 * n), draws, seeds)
            for n in QUBITS[: 2 if quick else None]
        ],
        "uploads": [
            _gradients(replace(BASE, uploads=d), draws, seeds) for d in DEPTHS[: 2 if quick else None]
        ],
        "layers": [_gradients(replace(BASE, layers=d), draws, seeds) for d in DEPTHS[: 2 if quick else None]],
    }
    measured = {name: measures(CIRCUITS[name], draws, states, seeds) for name in names}
    networks = {name: behind_siren(CIRCUITS[name]) for name in names}
    rows = fitted(folder, photograph(12 if quick else 48), networks, range(seeds), 3 if quick else 250)
    return {"circuits": measured, "gradients": gradients, "fits": rows}


def measures(ansatz: Ansatz, draws: int, states: int, seeds: int) -> dict[str, Any]:
    """Measures of a circuit, those with a spread once for each seed of their draws."""
    of_angle = spectrum_of_angle(ansatz, draws, 0)
    along = spectrum_along_coordinate(ansatz, draws, 0)
    drawn = [random_states(ansatz, states, seed) for seed in range(seeds)]
    return {
        "gates": sum(1 for _ in ansatz.gates()),
        "rotations": int(np.prod(ansatz.weights_shape)),
        "spectrum_of_angle": of_angle.tolist(),
        "spectrum_along_coordinate": along.tolist(),
        "highest_of_angle": highest_frequency(of_angle),
        "highest": highest_frequency(along),
        "bandwidth": [bandwidth(spectrum_along_coordinate(ansatz, draws, seed)) for seed in range(seeds)],
        "expressibility": [expressibility(found) for found in drawn],
        "entanglement": [entanglement(found) for found in drawn],
        "gradient": [gradient_variances(ansatz, 2 * draws, seed)["qubit"] for seed in range(seeds)],
    }


def _gradients(ansatz: Ansatz, draws: int, seeds: int) -> dict[str, Any]:
    found = [gradient_variances(ansatz, 2 * draws, seed) for seed in range(seeds)]
    size = {"qubits": ansatz.qubits, "uploads": ansatz.uploads, "layers": ansatz.layers}
    return {**size, **{name: [one[name] for one in found] for name in found[0]}}


def behind_siren(ansatz: Ansatz) -> Mapping[str, Any]:
    """Changes to ``kodak.yaml`` that put a circuit behind a SIREN layer, at equal parameters."""
    names = ("qubits", "angles", "uploads", "layers", "features", "pairs", "shuffle")
    circuit = {name: getattr(ansatz, name) for name in names}
    arguments = {**circuit, "sine_layers": 1, "readout": "linear", "omega0": 20.0}
    return with_network(QuINR, matched(QuINR, arguments, "sine_width", QuINR.parameter_count, PARAMETERS))


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown."""
    rows = [
        ["circuit", "gates", "highest frequency: of an angle, of the coordinate", *MEASURES.values(), "PSNR"]
    ]
    for name, measured in found["circuits"].items():
        highest = f"{measured['highest_of_angle']}, {measured['highest']}"
        figures = [spread(measured[key], digits) for key, digits in zip(MEASURES, (1, 3, 3, 4), strict=True)]
        rows.append([name, f"{measured['gates']}", highest, *figures, spread(_psnr(found, name))])
    together = [["", "rank correlation with PSNR (Spearman)", "p"]]
    for key, told in MEASURES.items():
        measured = [np.mean(measures[key]) for measures in found["circuits"].values()]
        result = spearmanr(measured, [np.mean(_psnr(found, name)) for name in found["circuits"]])
        together.append([told, f"{result.statistic:+.2f}", f"{result.pvalue:.2f}"])
    gradients = [["", "last state", "Z of a qubit"]]
    for what, lines in found["gradients"].items():
        for line in lines:
            variances = (f"{np.mean(line[name]):.2e}" for name in ("state", "qubit"))
            gradients.append([f"{line[what]} {what}", *variances])
    return "\n\n".join(map(table, (rows, together, gradients)))


def _psnr(found: Mapping[str, Any], name: str) -> npt.NDArray[np.float64]:
    return column(found["fits"], "psnr", network=name)


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """Spectra along the coordinate, variances of gradients, and PSNR against the bandwidth."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for name in ("base", "1 fold", "4 folds", "4 uploads", "4 layers", "no CRZ"):
        if name in found["circuits"]:
            shares = found["circuits"][name]["spectrum_along_coordinate"]
            left.plot(range(1, len(shares) - 1), shares[1:-1], marker=".", label=name)
    left.set(
        xlabel="frequency along the coordinate", ylabel="share of the power", yscale="log", ylim=(1e-9, 1)
    )
    for what, lines in found["gradients"].items():
        for name, style in (("state", "-"), ("qubit", "--")):
            variances = [np.mean(line[name]) for line in lines]
            label = f"{'last state' if name == 'state' else 'Z of a qubit'}, by {what}"
            middle.plot([line[what] for line in lines], variances, style, marker=".", label=label)
    middle.set(xlabel="number", ylabel="variance of gradients", yscale="log")
    by_bandwidth = sorted(found["circuits"], key=lambda name: np.mean(found["circuits"][name]["bandwidth"]))
    for row, name in enumerate(by_bandwidth):
        psnr = _psnr(found, name)
        right.errorbar(np.mean(psnr), row, xerr=np.std(psnr, ddof=1), color="C0", marker="o", capsize=2)
    bandwidths = (np.mean(found["circuits"][name]["bandwidth"]) for name in by_bandwidth)
    labels = [f"{name}: {width:.0f}" for name, width in zip(by_bandwidth, bandwidths, strict=True)]
    right.set_yticks(range(len(labels)), labels)
    right.set(xlabel=f"PSNR in dB at {PARAMETERS} parameters", ylabel="99 % of the power up to frequency")
    for axis in (left, middle, right):
        axis.grid(alpha=0.3)
    for axis in (left, middle):
        axis.legend(fontsize="small")
    return figure


if __name__ == "__main__":
    main()
