"""Distillation of a large field into a small quINR: ``python -m benchmarks.studies.distillation``.

A wide SIREN is fitted to each signal. A small quINR is then fitted three times, from the same start and in as
many steps: to the signal, to the SIREN's values at the pixels, and to its values at and between the pixels,
where only the SIREN is defined. All are rounded to six bits a weight, and compared with the signal after
decoding. Writes data and plot, and prints the tables of docs/studies/distillation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.studies.signals import SYNTHETIC, FieldDataModule, described, synthetic
from benchmarks.studies.study import (
    Difference,
    Row,
    column,
    difference,
    distinct,
    fitted,
    run,
    spread,
    table,
    with_network,
)
from benchmarks.studies.twins import QUINR
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.experiments.trees import Tree
from quinr_pl.network import COIN, QuINR

IMAGE, PIXELS, BETWEEN = "signal", "field at pixels", "field at and between pixels"
FINER: Mapping[str, int] = {PIXELS: 1, BETWEEN: 4}
"""Points of the field for each distance of two pixels along an axis."""
OMEGA = 20.0
TEACHER: Tree = {"layers": 4, "width": 48, "omega0": OMEGA}
PHOTOGRAPHS = ("chelsea", "coffee", "astronaut")
SEEDS, STEPS, SIZE = 3, 250, 32
_RATE: Tree = {"quantization": {"method": "compensated", "rate": 6.0}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study."""
    run("distillation", __doc__, study, tables, draw, arguments)


def study(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures of the study; fits lie in the folder."""
    steps, seeds, size = (3, 2, 12) if quick else (STEPS, SEEDS, SIZE)
    signals = [described(SampleDataModule, image=image, longer_side=size) for image in PHOTOGRAPHS]
    signals += [synthetic(name, 2, size=size) for name in SYNTHETIC]
    rows: list[Row] = []
    for index, signal in enumerate(signals[2:4] if quick else signals):
        for seed in range(seeds):
            own = folder / f"{index}" / f"seed_{seed}"
            teacher = {"field": with_network(COIN, TEACHER, learning_rate=3e-3)}
            rows += fitted(own / "field", signal, teacher, [seed], steps)
            [field] = (own / "field").rglob("*.quinr")
            for source in (IMAGE, PIXELS, BETWEEN):
                data = signal
                if source != IMAGE:
                    data = described(FieldDataModule, of=signal, field=str(field), finer=FINER[source])
                student = with_network(QuINR, {**QUINR, "omega0": OMEGA}, learning_rate=1e-2)
                rows += fitted(own / source, data, {source: {**student, **_RATE}}, [seed], steps)
    return {"fits": rows}


def tables(found: Mapping[str, Any]) -> str:
    """The tables of the page, in Markdown."""
    rows: Sequence[Row] = found["fits"]
    names, signals = (distinct(rows, key) for key in ("network", "signal"))
    lines = [["fitted to", "field", *(f"**{name}**" for name in names[1:])]]
    for key in ("parameters", "bytes"):
        means = (column(rows, key, network=name).mean() for name in names)
        lines.append([key, *(f"{mean:,.0f}" for mean in means)])
    for signal in signals:
        psnr = (column(rows, "psnr", network=name, signal=signal) for name in names)
        lines.append([signal, *map(spread, psnr)])
    less = [[f"less {IMAGE}", *Difference.HEAD]]
    less += [[name, *difference(rows, name, IMAGE).cells()] for name in FINER]
    return f"{table(lines)}\n\n{table(less)}"


def draw(found: Mapping[str, Any]) -> plt.Figure:
    """What distillation gains on each signal and seed."""
    rows: Sequence[Row] = found["fits"]
    signals = distinct(rows, "signal")
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    for index, name in enumerate(FINER):
        for place, signal in enumerate(signals):
            psnr, base = (column(rows, "psnr", network=one, signal=signal) for one in (name, IMAGE))
            gains = psnr - base
            where = place + 0.2 * index - 0.1
            axis.plot([where] * len(gains), gains, ".", color=f"C{index}", alpha=0.5)
            label = name if place == 0 else None
            axis.errorbar(where, gains.mean(), gains.std(ddof=1), color=f"C{index}", marker="o", label=label)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xticks(range(len(signals)), signals)
    axis.set_ylabel("PSNR less that of a fit to the signal, in dB")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


if __name__ == "__main__":
    main()
