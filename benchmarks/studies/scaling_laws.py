"""How quINR scales with pixels and with parameters: ``python -m benchmarks.studies.scaling_laws``.

Pictures from an eighth to four times the rows and columns of kodim02, and networks from 500 to 100,000
parameters, each beside its twin without a circuit: a SIREN of as many parameters, or latents with ReLU.
Writes data and plot, and prints the tables of docs/studies/scaling_laws.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.studies.signals import ResizedDataModule, described
from benchmarks.studies.study import Row, column, distinct, fitted, matched, run, spread, table, with_network
from quinr_pl.configs.find import packaged_config
from quinr_pl.datamodules import KodakDataModule, SampleDataModule
from quinr_pl.datamodules.data_root import ENVIRONMENT_VARIABLE
from quinr_pl.experiments.fit_configs import read_fit_config
from quinr_pl.experiments.trees import Tree
from quinr_pl.network import COIN, LatentQuINR, QuINR

SCALES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
LATENT_SCALES = SCALES[:-1]  # whose steps take all pixels
CIRCUITS: Mapping[int, tuple[int, int]] = {
    500: (4, 2),
    2_000: (4, 4),
    8_000: (5, 6),
    32_000: (6, 8),
    100_000: (8, 8),
}
"""Qubits and uploads by the number of parameters: two folds, and as wide SIREN layers as parameters allow."""
PARAMETERS_AT_ALL_SCALES, SCALE_OF_ALL_PARAMETERS = 2_000, 1 / 2
SEEDS, STEPS, BATCH = 2, 500, 1 << 16
LEARNING_RATE = 3e-3
LATENTS = "kodak_latent.yaml"
PARTS = {
    "pixels": "coordinates, all pixels",
    "parameters": "coordinates, all parameters",
    "latents": "latents, all pixels",
}
TWINS = {"quINR": "SIREN", "latents, circuit": "latents, ReLU"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("scaling_laws", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder, from the smallest to the largest."""
    steps, seeds = (3, range(2)) if quick else (STEPS, range(SEEDS))
    scales = (1 / 32, 1 / 16) if quick else SCALES
    middle = scales[-1] if quick else SCALE_OF_ALL_PARAMETERS
    sizes = list(CIRCUITS)[:2] if quick else list(CIRCUITS)
    rows: list[Row] = []

    def part(name: str, x: float, scale: float, networks: Mapping[str, Tree], **training: Any) -> None:
        signal = described(ResizedDataModule, of=_picture(), scale=scale)
        found = fitted(folder / name / f"{x:g}", signal, networks, seeds, steps, **training)
        rows.extend({"part": name, "x": x, **row} for row in found)

    for scale in scales:
        part("pixels", scale, scale, coordinate_networks(PARAMETERS_AT_ALL_SCALES), batch_size=BATCH)
    for size in sizes:
        part("parameters", size, middle, coordinate_networks(size), batch_size=BATCH)
    for scale in scales if quick else LATENT_SCALES:
        part("latents", scale, scale, latent_networks(), base=LATENTS)
    return {"fits": rows, "shares": {size: circuit_share(size) for size in sizes}}


def _picture() -> dict[str, Any]:
    if os.environ.get(ENVIRONMENT_VARIABLE):
        return described(KodakDataModule, image="kodim02")
    return described(SampleDataModule, image="coffee")


def _arguments(parameters: int) -> dict[str, Any]:
    """Of quINR with about so many parameters, for pictures in colour."""
    qubits, uploads = CIRCUITS[parameters]
    circuit = {"qubits": qubits, "angles": 2 * qubits, "uploads": uploads, "layers": 1, "omega0": 20.0}
    fixed = {**circuit, "features": "own", "readout": "linear", "sine_layers": 2}
    return matched(QuINR, fixed, "sine_width", QuINR.parameter_count, parameters)


def coordinate_networks(parameters: int) -> dict[str, Tree]:
    """A quINR and a SIREN of as many parameters, as `fitted` takes them."""
    ours = _arguments(parameters)
    twin = {"layers": 3, "omega0": 20.0}
    twin = matched(COIN, twin, "width", COIN.parameter_count, QuINR(**ours).parameter_count())
    return {
        "quINR": with_network(QuINR, ours, learning_rate=LEARNING_RATE),
        "SIREN": with_network(COIN, twin, learning_rate=LEARNING_RATE),
    }


def latent_networks() -> dict[str, Tree]:
    """Latents of ``LATENTS`` with a circuit, and with ReLU in its place."""
    arguments = read_fit_config(str(packaged_config(LATENTS)))["model"]["network"]["init_args"]
    return {
        f"latents, {label}": with_network(LatentQuINR, {**arguments, "synthesis": kind})
        for kind, label in (("circuit", "circuit"), ("relu", "ReLU"))
    }


def circuit_share(parameters: int) -> float:
    """Share of the parameters in embedding, rotations and read-out of the circuit."""
    network = QuINR(**_arguments(parameters))
    of_circuit = sum(
        weight.numel() for name, weight in network.weights().items() if not name.startswith("sine_layers")
    )
    return of_circuit / network.parameter_count()


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown: a line for each network at each number of pixels or parameters."""
    parts = []
    for name, title in PARTS.items():
        rows = [row for row in found["fits"] if row["part"] == name]
        head = ["times rows and columns" if name != "parameters" else "parameters", "network"]
        lines = [[*head, "PSNR", "less its twin, dB", "bytes", "fit, s", "decoding, s"]]
        for x in distinct(rows, "x"):
            for network in distinct(rows, "network"):
                psnr = column(rows, "psnr", x=x, network=network)
                less = ""
                if network in TWINS:
                    less = spread(psnr - column(rows, "psnr", x=x, network=TWINS[network]))
                size = column(rows, "bytes", x=x, network=network).mean()
                # What else the machine does makes a fit longer, never shorter.
                encoding, decoding = (column(rows, key, x=x, network=network).min() for key in _SECONDS)
                told = [f"{size:,.0f}", f"{encoding:,.0f}", f"{decoding:.2f}"]
                lines.append([f"{x:g}", network, spread(psnr), less, *told])
        parts.append(f"{title}:\n\n{table(lines)}")
    lines = [["parameters", "share of embedding, rotations and read-out"]]
    lines += [[f"{int(size):,}", f"{share:.0%}"] for size, share in found["shares"].items()]
    return "\n\n".join([*parts, table(lines)])


_SECONDS = ("encode_seconds", "decode_seconds")


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """PSNR, bytes and seconds of the fit against pixels and parameters."""
    figures = {"psnr": "PSNR in dB", "bytes": "bytes", "encode_seconds": "seconds of the faster fit"}
    figure, axes = plt.subplots(len(figures), len(PARTS), figsize=(13, 9), layout="constrained")
    for above, (name, title) in zip(axes.T, PARTS.items(), strict=True):
        rows = [row for row in found["fits"] if row["part"] == name]
        points = distinct(rows, "x")
        for axis, (key, label) in zip(above, figures.items(), strict=True):
            for network in distinct(rows, "network"):
                values = [column(rows, key, x=x, network=network) for x in points]
                if key in _SECONDS:
                    axis.plot(points, [v.min() for v in values], marker="o", label=network)
                    continue
                means, errors = [v.mean() for v in values], [v.std(ddof=1) for v in values]
                axis.errorbar(points, means, errors, marker="o", capsize=2, label=network)
            low, high = axis.dataLim.intervaly
            axis.set(xscale="log", ylabel=label, yscale="log" if 0 < 4 * low < high else "linear")
            axis.set_xticks(points, [f"{x:g}" for x in points])
            axis.xaxis.minorticks_off()
            axis.grid(alpha=0.3)
        above[0].set_title(title)
        above[0].legend(fontsize="small")
        above[-1].set_xlabel("parameters" if name == "parameters" else "times rows and columns")
    return figure


if __name__ == "__main__":
    main()
