"""The circuits of QIREN and QVF beside those of quINR: ``python -m benchmarks.studies.ansatze``.

Each is trained, rounded and written to a file alike, at equal parameters, which are about equal bytes, and
at equal work of the decoder; a SIREN stands beside them. Learning rate and frequency scale of each are chosen
from as large a grid on another signal. Writes data and plot, and prints the tables of
docs/studies/ansatze.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.signals import SIZES, natural, photograph, synthetic
from benchmarks.studies.study import (
    Contender,
    Row,
    column,
    distinct,
    ends_of,
    fitted,
    paired,
    run,
    spread,
    table,
    with_network,
)
from quinr_pl.experiments.trees import Tree
from quinr_pl.network import COIN, Network, QuINR

OMEGAS = ({"omega0": 10.0}, {"omega0": 20.0}, {"omega0": 40.0})
SPREADS = ({"angle_scale": 0.5}, {"angle_scale": 1.0}, {"angle_scale": 2.0})
"""Deviation of angles at the start, in radians: 1 is that of batch normalization."""
LEARNING_RATES = (3e-3, 1e-2)
TUNING_SEED, SEEDS, STEPS = 100, 3, 250

_LINEAR: Tree = {"readout": "linear", "features": "own"}
_SIREN: Tree = {"sine_layers": 2, "sine_width": 12}
_QIREN: Tree = {
    "design": "qiren",
    "qubits": 4,
    "angles": 4,
    "layers": 2,
    "pairs": "strong",
    "features": "shared",
    "shuffle": False,
    "readout": "linear",
}
_QVF: Tree = {"design": "qvf", "qubits": 4, "angles": 16, "uploads": 1, "layers": 4, "pairs": "unordered"}


@dataclass(frozen=True)
class Competitor(Contender):
    """A network of the comparison.

    Attributes:
        scales: Settings of its frequencies that are tried.
    """

    scales: Sequence[Tree] = OMEGAS


CONTENDERS: Mapping[str, Competitor] = {
    "quINR": Competitor(
        QuINR, {"qubits": 4, "angles": 8, "uploads": 2, "layers": 1, **_LINEAR, **_SIREN}, None
    ),
    "QIREN behind SIREN": Competitor(QuINR, {**_QIREN, "uploads": 2, **_SIREN}, "sine_width"),
    "QVF": Competitor(QuINR, {**_QVF, **_SIREN, "readout": "last_states"}, "sine_width"),
    "QVF, linear read-out": Competitor(QuINR, {**_QVF, **_SIREN, "readout": "linear"}, "sine_width"),
    "quINR's circuit alone": Competitor(
        QuINR, {"qubits": 4, "angles": 12, "layers": 1, **_LINEAR}, "uploads"
    ),
    "QIREN": Competitor(
        QuINR, {**_QIREN, "stages": 3, "stage_norm": "none", "omega0": 10.0}, "uploads", SPREADS
    ),
    "SIREN": Competitor(COIN, {"layers": 3}, "width"),
}
EQUAL = {"parameters": "equal parameters", "operations": "equal work"}
_NOT_OF_EQUAL_WORK = ("quINR", "quINR's circuit alone", "QIREN")
"""quINR is the same at equal work; a circuit alone has no part that grows finely enough."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("ansatze", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder."""
    steps, seeds, size = (3, 2, 12) if quick else (STEPS, SEEDS, SIZES[2])
    names = ["quINR", "QVF", "QIREN"] if quick else list(CONTENDERS)
    tuning = photograph(size if quick else 48)
    signals = [*natural(size), *(synthetic(name, 2, size=size) for name in ("noise", "edges"))]
    settings: dict[str, Any] = {}
    rows: list[Row] = []
    for equal in EQUAL:
        ours = [name for name in names if equal == "parameters" or name not in _NOT_OF_EQUAL_WORK]
        chosen = {name: _tuned(folder / "tuning" / equal, name, equal, tuning, steps, quick) for name in ours}
        settings[equal] = chosen
        for signal in signals[2:] if quick else signals:
            networks = {name: _changes(name, signal, equal, chosen[name]) for name in ours}
            found = fitted(folder / equal, signal, networks, range(seeds), steps)
            sizes = {name: _size(_network(name, signal, equal)) for name in ours}
            rows += [{"equal": equal, **row, **sizes[row["network"]]} for row in found]
    return {"settings": settings, "fits": rows}


def _tuned(folder: Path, name: str, equal: str, signal: Tree, steps: int, quick: bool) -> Tree:
    """Learning rate and scale that draw a signal best."""
    grid = [{"learning_rate": rate, **scale} for rate in LEARNING_RATES for scale in CONTENDERS[name].scales]
    choices = {f"{name} {number}": choice for number, choice in enumerate(grid[-2:] if quick else grid)}
    networks = {label: _changes(name, signal, equal, choice) for label, choice in choices.items()}
    found = fitted(folder, signal, networks, [TUNING_SEED], steps)
    return choices[max(found, key=lambda row: row["psnr"])["network"]]


def _changes(name: str, signal: Tree, equal: str, settings: Tree) -> Tree:
    """A contender of quINR's size on a signal, as `fitted` takes it."""
    scale = {key: value for key, value in settings.items() if key != "learning_rate"}
    arguments = {**_arguments(name, signal, equal), **scale}
    return with_network(CONTENDERS[name].network, arguments, learning_rate=settings["learning_rate"])


def _arguments(name: str, signal: Tree, equal: str) -> dict[str, Any]:
    def size(network: Network) -> float:
        return _size(network)[equal]

    return CONTENDERS[name].matched_to(CONTENDERS["quINR"], ends_of(signal), size)


def _network(name: str, signal: Tree, equal: str) -> Network:
    return CONTENDERS[name].network(**_arguments(name, signal, equal))


def _size(network: Network) -> dict[str, int]:
    """Parameters, operations of the decoder for each pixel (docs/format.md, Limits), gates for each pixel."""
    gates = sum(len(list(layer.ansatz.gates())) for layer in network.quantum_layers())
    operations = network.cost(network.architecture()).operations
    return {"parameters": network.parameter_count(), "operations": operations, "gates": gates}


def _compared(found: Mapping[str, Any], equal: str) -> list[Row]:
    """Fits of an equality, and those of quINR."""
    return [row for row in found["fits"] if row["equal"] == equal or row["network"] == "quINR"]


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown: differences from quINR are paired by signal and seed."""
    parts = []
    for equal, title in EQUAL.items():
        rows = _compared(found, equal)
        names, signals = (distinct(rows, key) for key in ("network", "signal"))
        lines = [[title, *names]]
        for key in ("parameters", "bytes", "operations", "gates"):
            lines.append([key, *(f"{column(rows, key, network=name).mean():,.0f}" for name in names)])
        for signal in signals:
            psnr = (column(rows, "psnr", network=name, signal=signal) for name in names)
            lines.append([signal, *map(spread, psnr)])
        parts.append(table(lines))
        lines = [[f"{title}: less quINR", "mean, dB", "effect size d", "p", "ahead of quINR"]]
        ours = column(rows, "psnr", network="quINR")
        for name in names[1:]:
            theirs = column(rows, "psnr", network=name)
            ahead = f"{(theirs > ours).sum()} of {len(ours)}"
            lines.append([name, *paired(theirs, ours), ahead])
        parts.append(table(lines))
    names = distinct(found["fits"], "network")
    lines = [["learning rate and scale", *EQUAL.values()]]
    for name in names:
        chosen = (found["settings"][equal].get(name) for equal in EQUAL)
        lines.append(
            [name, *(", ".join(f"{value:g}" for value in one.values()) if one else "" for one in chosen)]
        )
    return "\n\n".join([*parts, table(lines)])


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """PSNR of the decoded files, signal by signal."""
    figure, axes = plt.subplots(1, len(EQUAL), figsize=(12, 4.5), layout="constrained", sharey=True)
    order = distinct(found["fits"], "network")
    for axis, equal in zip(axes, EQUAL, strict=True):
        rows = _compared(found, equal)
        names, signals = (distinct(rows, key) for key in ("network", "signal"))
        for index, name in enumerate(names):
            values = [column(rows, "psnr", network=name, signal=signal) for signal in signals]
            where = np.arange(len(signals)) + 0.1 * (index - (len(names) - 1) / 2)
            means, errors = [v.mean() for v in values], [v.std(ddof=1) for v in values]
            axis.errorbar(
                where, means, errors, linestyle="", marker="o", color=f"C{order.index(name)}", label=name
            )
        axis.set_xticks(range(len(signals)), signals)
        axis.set_title(EQUAL[equal])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("PSNR of the decoded file in dB")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(order))
    return figure


if __name__ == "__main__":
    main()
