"""Files decoded with finitely many shots and with noise: ``python -m benchmarks.studies.noise``.

Three networks are fitted to a photograph of 32 x 48 pixels, exactly. Each finished file is then decoded with
a finite number of shots, and with errors in gates and measurements, and its PSNR is that against the
photograph. A smaller one is fitted with shots and gradients by parameter shift. Writes data and plot, and
prints the tables of docs/studies/noise.md. ``--quick`` takes few steps, rates and pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.study import FAST, fit_config, run, spread, table
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.codec import DecodedSignal, decode
from quinr_pl.codec.circuits import with_engine
from quinr_pl.configs.find import packaged_config
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.experiments.fit_configs import read_fit_config, untrained_network
from quinr_pl.fitting import fit
from quinr_pl.signals.distortion import psnr

SHOTS = (100, 1_000, 10_000, 100_000, 1_000_000)
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
ERRORS = ("depolarizing", "amplitude_damping", "readout")
SEEDS = 5
SHOT_SECONDS = 250e-6
"""Assumed time of one shot: circuit, measurement and the wait until the qubits are back at 0."""
SMALL = {"angles": 8, "sine_layers": 1, "sine_width": 12}  # the file would be larger than the picture
LITTLE_PRICE = {
    "model": {"network": {"init_args": {"rate_weight": 1e-4}}}
}  # else few pixels pay for no circuit
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "circuit alone": ("kodak_paper.yaml", {**FAST, "model": {"network": {"init_args": {"range_map": True}}}}),
    "SIREN and circuit": ("kodak.yaml", {**FAST, "model": {"network": {"init_args": SMALL}}}),
    "latents and circuit": ("kodak_latent.yaml", LITTLE_PRICE),
}
"""Base config and changes. Without a range map the values of a pixel could not sum to more than 1."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("noise", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder."""
    side, steps = (12, 60) if quick else (48, 1500)
    shots, rates, seeds = ((100, 10_000), (1e-3, 1e-1), 2) if quick else (SHOTS, RATES, SEEDS)
    decoded = {}
    for name, (base, changes) in NETWORKS.items():
        result = fit(fit_config(base, changes, _photograph(side, steps), steps), folder / name)
        decoded[name] = _decodings(decode(result.path.read_bytes()), side, shots, rates, seeds)
    return {"files": decoded, "training": _trainings(folder, quick), "times": _times()}


def _photograph(side: int, steps: int) -> dict[str, Any]:
    arguments = {"image": "chelsea", "longer_side": side, "batch_size": None, "steps_per_epoch": steps}
    return {"class_path": "quinr_pl.datamodules.SampleDataModule", "init_args": arguments}


def _decodings(
    file: DecodedSignal, side: int, shots: Sequence[int], rates: Sequence[float], seeds: int
) -> dict[str, Any]:
    """PSNR of one file by each engine: exact, by shots (one for each seed), and by kind and rate of error."""
    data = SampleDataModule(image="chelsea", longer_side=side)
    data.setup()

    def quality(engine: Any) -> float:
        return psnr(data.values, with_engine(file, engine)[0].reconstruct(), 255)

    by_shots = {n: [quality({"shots": n, "seed": seed}) for seed in range(seeds)] for n in shots}
    noise = {kind: {rate: quality(_noisy(kind, rate)) for rate in rates} for kind in ERRORS}
    exact = psnr(data.values, file.reconstruct(), 255)
    return {"bytes": sum(file.sections.values()), "exact": exact, "shots": by_shots, **noise}


def _noisy(kind: str, rate: float) -> dict[str, Any]:
    return {"noisy": 0.0, kind: rate} if kind != "depolarizing" else {"noisy": rate}


def _trainings(folder: Path, quick: bool) -> dict[str, dict[str, float]]:
    """Fits of one small picture, exactly and with shots: PSNR of the exactly decoded file, and circuits."""
    steps = 3 if quick else 300
    network = {"qubits": 3, "angles": 6, "uploads": 2, "layers": 1, "pairs": "ring", "readout": "linear"}
    found = {}
    for engine in ("auto", "shots=100") if quick else ("auto", "shots=100", "shots=1000", "shots=10000"):
        settings = {"init_args": {**network, "engine": engine, "omega0": 10.0}}
        changes = {"model": {"network": settings, "learning_rate": 1e-2, "schedule": "cosine"}, **FAST}
        config = fit_config("kodak_paper.yaml", changes, _photograph(16, steps), steps)
        result = fit(config, folder / f"training {engine}")
        pixels = decode(result.path.read_bytes()).spec.pixels
        ansatz = untrained_network(config, 3).quantum_layers()[0].ansatz
        circuits = 0 if engine == "auto" else steps * pixels * circuits_of_a_step(ansatz)
        found[engine] = {"psnr": result.psnr, "circuits": circuits}
    return found


def circuits_of_a_step(ansatz: Ansatz) -> int:
    """Circuits that a coordinate takes in a training step: its value, and every shift of every gate."""
    return 1 + sum(len(gate.shifts) for gate in ansatz.gates())


def _times() -> dict[str, dict[str, float]]:
    """Circuits of kodim02 (768 x 512), decoded once and fitted as kodak.yaml does it."""
    config = read_fit_config(str(packaged_config("kodak.yaml")))
    [layer] = untrained_network(config, 3).quantum_layers()
    coordinates = config["trainer"]["max_steps"] * config["data"]["init_args"]["batch_size"]
    counts = {"decoding": 768 * 512, "fitting": coordinates * circuits_of_a_step(layer.ansatz)}
    return {
        what: {
            "circuits": circuits,
            **{str(shots): circuits * shots * SHOT_SECONDS for shots in (100, 10_000)},
        }
        for what, circuits in counts.items()
    }


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown."""
    files = found["files"]
    rows = [["", *files]]
    rows.append(["bytes", *(f"{figures['bytes']}" for figures in files.values())])
    rows.append(["exact", *(f"{figures['exact']:.2f}" for figures in files.values())])
    for shots in next(iter(files.values()))["shots"]:
        rows.append(
            [f"{int(shots):,} shots", *(spread(figures["shots"][shots]) for figures in files.values())]
        )
    for kind in ERRORS:
        for rate in next(iter(files.values()))[kind]:
            told = f"{kind.replace('_', ' ')} {float(rate):g}"
            rows.append([told, *(f"{figures[kind][rate]:.2f}" for figures in files.values())])
    training = [["engine", "PSNR of the file", "circuits"]]
    for engine, figures in found["training"].items():
        training.append([engine, f"{figures['psnr']:.2f}", f"{figures['circuits']:,}"])
    times = [["kodim02", "circuits", "100 shots", "10,000 shots"]]
    for what, figures in found["times"].items():
        spans = [_span(figures[shots]) for shots in ("100", "10000")]
        times.append([what, f"{figures['circuits']:,.0f}", *spans])
    return "\n\n".join(map(table, (rows, training, times)))


def _span(seconds: float) -> str:
    for unit, length in (("years", 365 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds / 60:,.0f} minutes"


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """PSNR against shots, and against rates of error."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    for index, (name, figures) in enumerate(found["files"].items()):
        colour = f"C{index}"
        means = [np.mean(values) for values in figures["shots"].values()]
        spread = [np.std(values, ddof=1) for values in figures["shots"].values()]
        left.errorbar(list(map(int, figures["shots"])), means, spread, color=colour, marker="o", label=name)
        left.axhline(figures["exact"], color=colour, linestyle=":")
        for kind, style in zip(ERRORS, ("-", "--", ":"), strict=True):
            rates = figures[kind]
            label = kind.replace("_", " ") if index == 0 else None
            right.plot(
                list(map(float, rates)),
                list(rates.values()),
                color=colour,
                linestyle=style,
                marker=".",
                label=label,
            )
    for axis, title in ((left, "shots of each pixel (dotted: exact)"), (right, "probability of an error")):
        axis.set_xscale("log")
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
        axis.legend()
    left.set_ylabel("PSNR in dB")
    return figure


if __name__ == "__main__":
    main()
