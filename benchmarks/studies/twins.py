"""quINR beside classical networks of its size: ``python -m benchmarks.studies.twins``.

quINR and a circuit without SIREN layers are compared with SIREN, ReLU on Fourier features, WIRE and FINER, at
equal parameters and at equal multiply-adds. Learning rate and frequency scale of each are chosen from the
same grid on other signals. Writes data and plot, and prints the tables of docs/studies/twins.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.cases import Case, flops
from benchmarks.studies.networks import FINER, WIRE, ClassicalNetwork, FourierReLU
from benchmarks.studies.signals import SIZES, SYNTHETIC, natural, photograph, synthetic
from benchmarks.studies.study import (
    Contender,
    Difference,
    Row,
    column,
    difference,
    distinct,
    ends_of,
    fitted,
    run,
    spread,
    table,
    with_network,
)
from quinr_pl.experiments.trees import Tree
from quinr_pl.network import COIN, Network, QuINR

CIRCUIT: Tree = {"qubits": 4, "angles": 8, "uploads": 2, "layers": 1, "features": "own", "readout": "linear"}
QUINR: Tree = {**CIRCUIT, "sine_layers": 2, "sine_width": 12}
OMEGAS: Mapping[int, Sequence[float]] = {1: (30.0, 100.0, 300.0), 2: (10.0, 20.0, 40.0)}
"""Frequency scales that are tried, by the number of axes: signals of one axis have higher frequencies."""
LEARNING_RATES = (3e-3, 1e-2)
TUNING_SEED, SEEDS, STEPS = 100, 5, 250


@dataclass(frozen=True)
class Twin(Contender):
    """A network of the comparison.

    Attributes:
        scale: Its frequency scales in units of ``OMEGAS``.
    """

    arguments: Tree = field(default_factory=lambda: {"layers": 3})
    free: str | None = "width"
    scale: float = 1.0


CONTENDERS: Mapping[str, Twin] = {
    "quINR": Twin(QuINR, QUINR, None),
    "circuit alone": Twin(QuINR, {**CIRCUIT, "angles": 12}, "uploads"),
    "SIREN": Twin(COIN),
    "Fourier + ReLU": Twin(FourierReLU),
    "WIRE": Twin(WIRE, scale=0.5),
    "FINER": Twin(FINER, scale=0.5),
}
"""Classical ones have three layers before the last linear map. WIRE and FINER reach higher frequencies than
SIREN at the same scale, and take half of it."""
EQUAL = {"parameters": "equal parameters", "multiply_adds": "equal multiply-adds"}
_SAME = {"parameters": [], "multiply_adds": ["quINR", "circuit alone"]}
"""Networks that are not fitted again: quINR is the same, and a circuit alone would be a third of its size."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("twins", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder."""
    steps, seeds, size = (3, 2, 12) if quick else (STEPS, SEEDS, None)
    names = ["quINR", "WIRE"] if quick else list(CONTENDERS)
    grid = [(rate, omega) for rate in LEARNING_RATES for omega in range(3)][-2 if quick else 0 :]
    tuning = {1: synthetic("mixed", 1, draw=1, size=size), 2: photograph(size or 48)}
    signals = natural(size or SIZES[2])
    signals += [synthetic(name, axes, size=size) for axes in OMEGAS for name in SYNTHETIC]
    settings: dict[str, Any] = {}
    rows: list[Row] = []
    for equal, same in _SAME.items():
        tuned = _Tuning(folder / "tuning" / equal, equal, grid, steps)
        ours = [name for name in names if name not in same]
        settings[equal] = {
            axes: {name: tuned(name, axes, signal) for name in ours} for axes, signal in tuning.items()
        }
        for signal in signals[1:3] if quick else signals:
            ends = ends_of(signal)
            chosen = settings[equal][ends["in_features"]]
            networks = {name: _network(name, ends, equal, **chosen[name]) for name in ours}
            found = fitted(folder / equal, signal, networks, range(seeds), steps)
            rows += [{"equal": equal, **row} for row in found]
    ends = {"in_features": 2, "out_features": 1}
    sizes = {name: {equal: _size(name, ends, equal) for equal in EQUAL} for name in names}
    return {"settings": settings, "sizes": sizes, "fits": rows}


@dataclass(frozen=True)
class _Tuning:
    """Choice of learning rate and frequency scale by fits.

    Attributes:
        folder: Where they lie.
        equal: What networks have equal.
        grid: Learning rates, and indices of frequency scales.
        steps: Training steps.
    """

    folder: Path
    equal: str
    grid: Sequence[tuple[float, int]]
    steps: int

    def __call__(self, name: str, axes: int, signal: Tree) -> dict[str, float]:
        """What comes out best for a contender on a signal."""
        choices = {
            f"{name} {rate:g} {omega}": {
                "learning_rate": rate,
                "omega0": CONTENDERS[name].scale * OMEGAS[axes][omega],
            }
            for rate, omega in self.grid
        }
        ends = ends_of(signal)
        networks = {
            choice: _network(name, ends, self.equal, **settings) for choice, settings in choices.items()
        }
        found = fitted(self.folder, signal, networks, [TUNING_SEED], self.steps)
        return choices[max(found, key=lambda row: row["psnr"])["network"]]


def _network(name: str, ends: Mapping[str, int], equal: str, learning_rate: float, omega0: float) -> Tree:
    """A contender of quINR's size, as `fitted` takes it."""
    arguments = {**_arguments(name, ends, equal), "omega0": omega0}
    return with_network(CONTENDERS[name].network, arguments, learning_rate=learning_rate)


def _arguments(name: str, ends: Mapping[str, int], equal: str) -> dict[str, Any]:
    """Arguments of a contender of quINR's size."""
    size = multiply_adds if equal == "multiply_adds" else Network.parameter_count
    return CONTENDERS[name].matched_to(CONTENDERS["quINR"], ends, size)


def multiply_adds(network: Network) -> float:
    """Multiply-adds of a pixel by a simulator, sines and other functions of single numbers left out.

    A real weight takes one, each of the two numbers of a complex weight two; a circuit what
    `benchmarks.cases.flops` counts.
    """
    complex_parts = network.parts if isinstance(network, ClassicalNetwork) else 1
    total = 0.0
    for name, weight in network.weights().items():
        if weight.ndim == 2:
            total += weight.numel() * (complex_parts if name.startswith("hidden") else 1)
    for layer in network.quantum_layers():
        ansatz = layer.ansatz
        total += flops(Case(ansatz.qubits, ansatz.folds, ansatz.uploads, ansatz.layers), "forward") / 2
    return total


def _size(name: str, ends: Mapping[str, int], equal: str) -> dict[str, float]:
    network = CONTENDERS[name].network(**_arguments(name, ends, equal))
    return {"parameters": network.parameter_count(), "multiply_adds": round(multiply_adds(network))}


def _compared(found: Mapping[str, Any], equal: str) -> list[Row]:
    """Fits of networks that equal quINR in something, and its own to the same signals."""
    signals = {row["signal"] for row in found["fits"] if row["equal"] == equal}
    return [
        row
        for row in found["fits"]
        if row["equal"] == equal or (row["network"] == "quINR" and row["signal"] in signals)
    ]


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown."""
    parts = []
    for equal in EQUAL:
        rows = _compared(found, equal)
        names, signals = (distinct(rows, key) for key in ("network", "signal"))
        lines = [[EQUAL[equal], *names]]
        for key in EQUAL:
            sizes = (found["sizes"][name][equal][key] for name in names)
            lines.append([key.replace("_", "-"), *(f"{size:,.0f}" for size in sizes)])
        for signal in signals:
            psnr = (column(rows, "psnr", network=name, signal=signal) for name in names)
            lines.append([signal, *map(spread, psnr)])
        parts.append(table(lines))
        lines = [[f"{EQUAL[equal]}: quINR less", *Difference.HEAD]]
        lines += [[name, *difference(rows, "quINR", name).cells()] for name in names[1:]]
        parts.append(table(lines))
    lines = [["learning rate, frequency scale", *found["sizes"]]]
    for equal, by_axes in found["settings"].items():
        for axes, settings in by_axes.items():
            chosen = [settings.get(name) for name in found["sizes"]]
            told = (f"{one['learning_rate']:g}, {one['omega0']:g}" if one else "" for one in chosen)
            lines.append([f"{EQUAL[equal]}, axes: {axes}", *told])
    return "\n\n".join([*parts, table(lines)])


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """Differences of quINR from each twin, signal by signal."""
    figure, axes = plt.subplots(1, len(EQUAL), figsize=(12, 4.5), layout="constrained", sharey=True)
    for axis, equal in zip(axes, EQUAL, strict=True):
        rows = _compared(found, equal)
        names, signals = (distinct(rows, key) for key in ("network", "signal"))
        for index, name in enumerate(names[1:]):
            pairs = [
                [column(rows, "psnr", network=one, signal=signal) for one in ("quINR", name)]
                for signal in signals
            ]
            means = [ours.mean() - theirs.mean() for ours, theirs in pairs]
            errors = [np.hypot(ours.std(ddof=1), theirs.std(ddof=1)) for ours, theirs in pairs]
            where = np.arange(len(signals)) + 0.15 * (index - (len(names) - 2) / 2)
            colour = f"C{list(found['sizes']).index(name)}"
            axis.errorbar(where, means, errors, linestyle="", marker="o", color=colour, label=name)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(range(len(signals)), signals, rotation=40, ha="right")
        axis.set_title(EQUAL[equal])
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    axes[0].set_ylabel("PSNR of quINR less the network's, in dB")
    return figure


if __name__ == "__main__":
    main()
