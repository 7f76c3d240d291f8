"""What parts of quINR are worth: ``python -m benchmarks.studies.ablations``.

Folds of the angles at equal qubits and at equal parameters, depth of the sinusoidal embedding, uploads,
entanglement and training of the rotations, of a circuit behind SIREN layers and of one alone. Writes data and
plot, and prints the tables of docs/studies/ablations.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from benchmarks.studies.signals import SIZES, natural
from benchmarks.studies.study import column, fitted, matched, paired, run, spread, table, with_network
from quinr_pl.experiments.trees import Tree
from quinr_pl.network import QuINR

CIRCUIT: Tree = {"qubits": 4, "layers": 1, "features": "own", "readout": "linear", "omega0": 20.0}
HOSTS: Mapping[str, tuple[Tree, str, float]] = {
    "circuit alone": ({**CIRCUIT, "angles": 12, "uploads": 6, "sine_layers": 0}, "uploads", 1e-2),
    "behind SIREN": (
        {**CIRCUIT, "angles": 8, "uploads": 2, "sine_layers": 2, "sine_width": 12},
        "sine_width",
        3e-3,
    ),
}
"""Arguments of the network, which of them makes up for the parameters, and the learning rate."""
FOLDS = (1, 2, 3, 4)
SEEDS, STEPS = 5, 250
_QUICK = ("rotations; trained", "rotations; frozen", "SIREN layers; 0")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("ablations", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder."""
    steps, seeds, size = (3, 2, 12) if quick else (STEPS, SEEDS, SIZES[2])
    variants = {
        f"{host}; {group}; {label}": changes
        for host in HOSTS
        for group, labels in _groups(host).items()
        for label, changes in labels.items()
    }
    if quick:
        variants = {name: changes for name, changes in variants.items() if name.endswith(_QUICK)}
    names = _named_once(variants)
    different = {name: variants[name] for name in names.values()}
    return {"names": names, "fits": fitted(folder, natural(size)[0], different, range(seeds), steps)}


def _named_once(variants: Mapping[str, Tree]) -> dict[str, str]:
    """The first name of each variant: some are the same network under two names."""
    first: list[str] = []
    found = {}
    for name, changes in variants.items():
        same = next((other for other in first if variants[other] == changes), name)
        found[name] = same
        first += [name] * (same == name)
    return found


def _groups(host: str) -> dict[str, dict[str, Tree]]:
    """Changes to ``kodak.yaml``, by group and label. Parameters are equal for pictures in colour."""
    base, free, rate = HOSTS[host]
    target = QuINR(**base).parameter_count()

    def changes(equal: bool = True, frozen: Sequence[str] = (), **different: Any) -> Tree:
        arguments = {**base, **different}
        if equal and different:
            loose = free if arguments["sine_layers"] else "uploads"
            arguments = matched(QuINR, arguments, loose, QuINR.parameter_count, target)
        return with_network(QuINR, arguments, learning_rate=rate, frozen=list(frozen))

    qubits = base["qubits"]
    groups = {
        "folds, equal qubits": {f"{folds}": changes(equal=False, angles=folds * qubits) for folds in FOLDS},
        "folds, equal parameters": {f"{folds}": changes(angles=folds * qubits) for folds in FOLDS},
        "uploads": {
            "own": changes(),
            "shuffled": changes(features="shared"),
            "shared": changes(features="shared", shuffle=False),
        },
        "entanglement": {"all": changes(), "ring": changes(pairs="ring"), "none": changes(pairs="none")},
        "rotations": {"trained": changes(), "frozen": changes(frozen=["circuits"])},
    }
    if base["sine_layers"]:
        groups["SIREN layers"] = {f"{depth}": changes(sine_layers=depth) for depth in range(5)}
    return groups


def _base_name(found: Mapping[str, Any], host: str) -> str:
    name: str = found["names"][f"{host}; rotations; trained"]
    return name


def _column(found: Mapping[str, Any], name: str, key: str) -> npt.NDArray[np.float64]:
    return column(found["fits"], key, network=found["names"][name])


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown: differences are from the base, paired by seed."""
    parts = []
    for host in HOSTS:
        rows = [[host, "parameters", "PSNR", "less the base, dB", "effect size d", "p"]]
        for name in found["names"]:
            owner, group, label = name.split("; ")
            if owner == host:
                parameters, psnr = (_column(found, name, key) for key in ("parameters", "psnr"))
                told = [f"{group}: {label}", f"{parameters[0]}", spread(psnr)]
                rows.append([*told, *_difference(found, name, host)])
        parts.append(table(rows))
    return "\n\n".join(parts)


def _difference(found: Mapping[str, Any], name: str, host: str) -> list[str]:
    """The difference from the base, its effect size and p of a paired t test."""
    if found["names"][name] == _base_name(found, host):
        return ["base", "", ""]
    return paired(_column(found, name, "psnr"), _column(found, _base_name(found, host), "psnr"))


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """Differences from the base, group by group."""
    figure, axes = plt.subplots(1, len(HOSTS), figsize=(13, 5.5), layout="constrained", sharex=True)
    for axis, host in zip(axes, HOSTS, strict=True):
        names = [name for name in found["names"] if name.startswith(f"{host};")]
        groups = list(dict.fromkeys(name.split("; ")[1] for name in names))
        for row, name in enumerate(names):
            less = _column(found, name, "psnr") - _column(found, _base_name(found, host), "psnr")
            colour = f"C{groups.index(name.split('; ')[1])}"
            axis.errorbar(less.mean(), -row, xerr=less.std(ddof=1), color=colour, marker="o", capsize=2)
        axis.set_yticks(
            [-row for row in range(len(names))],
            [name.partition("; ")[2].replace("; ", ": ") for name in names],
        )
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set(title=host, xlabel="PSNR less that of the base, in dB")
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    main()
