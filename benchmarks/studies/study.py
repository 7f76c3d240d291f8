"""What the studies share: their command, fits that go on where they were interrupted, and tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from scipy.stats import ttest_rel, wilcoxon

from quinr_pl.atomic_file import write_bytes
from quinr_pl.configs.find import packaged_config
from quinr_pl.experiments.comparison import Comparison, run_job
from quinr_pl.experiments.fit_configs import data_module_of, merge_fits, read_fit_config
from quinr_pl.experiments.sweep import result_of
from quinr_pl.experiments.trees import Tree, merge
from quinr_pl.network import Network

Row = dict[str, Any]
FAST: Tree = {"quantization": {"method": "nearest", "bits": 12}}
"""Rounding that takes no time and hardly any quality: files of equal parameters have about equal bytes."""


def run(
    name: str,
    description: str | None,
    study: Callable[[Path, bool], dict[str, Any]],
    tables: Callable[[Mapping[str, Any]], str],
    draw: Callable[[Mapping[str, Any]], plt.Figure],
    arguments: Sequence[str] | None,
) -> None:
    """Runs a study as a command: writes its data and its plot, and prints the tables of its page.

    Args:
        name: Of the study: its data is ``benchmarks/results/NAME.json``, its page ``docs/studies/NAME.md``.
        description: What ``--help`` says.
        study: Finds all figures, of JSON's types, with its fits in a folder; the second argument: few.
        tables: Figures as tables in Markdown.
        draw: Figures as a plot.
        arguments: Of the command line; those of the process when left out.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.studies.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="few fits of few steps, in under two minutes")
    parser.add_argument("--folder", type=Path, help="where fits lie; the same command goes on there")
    parser.add_argument("--data", type=Path, default=Path(f"benchmarks/results/{name}.json"))
    parser.add_argument("--plot", type=Path, default=Path(f"docs/studies/{name}.png"))
    options = parser.parse_args(arguments)
    folder = options.folder or Path("runs/studies") / (f"{name}_quick" if options.quick else name)
    found = study(folder, options.quick)
    for path in (options.data, options.plot):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.data, (json.dumps(found, indent=1) + "\n").encode())
    figure = draw(found)
    figure.savefig(options.plot, dpi=80)
    plt.close(figure)
    print(tables(found))


def fit_config(base: str, changes: Tree, data: Tree, steps: int) -> dict[str, Any]:
    """Config of a fit.

    Args:
        base: Name of a packaged config.
        changes: What differs from it.
        data: Class path and arguments of the data module.
        steps: Training steps.
    """
    config = merge_fits(read_fit_config(str(packaged_config(base))), changes)
    return {**config, "data": dict(data), "trainer": {**config["trainer"], "max_steps": steps}}


def fitted(
    folder: Path,
    signal: Tree,
    networks: Mapping[str, Tree],
    seeds: Sequence[int],
    steps: int,
    base: str = "kodak.yaml",
    batch_size: int | None = None,
) -> list[Row]:
    """Fits of networks to a signal; finished ones are kept.

    Args:
        folder: Where they lie.
        signal: Class path and arguments of the data module.
        networks: By name, what ``with_network`` gives.
        seeds: Of the fits.
        steps: Training steps.
        base: Name of the packaged config that says how they are trained.
        batch_size: Coordinates of a step; the whole signal when left out.

    Returns:
        A row for each: network, signal and seed; PSNR of the decoded file in dB, of a range image over pixels
        with a return; bytes, parameters, and seconds of fit and decoding.
    """
    data = merge(signal, {"init_args": {"batch_size": batch_size, "steps_per_epoch": steps}})
    training = fit_config(base, FAST, data, steps)
    del training["model"]["network"]  # whose arguments would stay where a study names others
    methods = {
        name: {"kind": "fit", "fit": merge_fits(training, changes)} for name, changes in networks.items()
    }
    rows = []
    for job in Comparison("", data, [{}], methods, list(seeds)).jobs():
        result = result_of(job, folder, run_job)
        psnr = round(result.get("psnr_valid", result["psnr"]), 4)
        row = {"signal": job.image, "network": job.method, "seed": job.seed, "psnr": psnr}
        seconds = {key: result[key] for key in ("encode_seconds", "decode_seconds")}
        rows.append({**row, "bytes": result["bytes"], "parameters": result["parameters"], **seconds})
    return rows


def with_network(network: type[Network], arguments: Tree, **model: Any) -> Tree:
    """Changes to a config that put a network into it.

    Args:
        network: Class of the network.
        arguments: Of its constructor.
        **model: Further settings of the training, such as ``learning_rate``.
    """
    path = f"{network.__module__}.{network.__qualname__}"
    return {"model": {"network": {"class_path": path, "init_args": dict(arguments)}, **model}}


def matched(
    network: type[Network], arguments: Tree, free: str, size: Callable[[Network], float], target: float
) -> dict[str, Any]:
    """Arguments of a network with the one that is free chosen so that its size is nearest to a target.

    Args:
        network: Class of the network.
        arguments: Of its constructor, all but the free one.
        free: Name of a whole number with which the size grows.
        size: Of a network.
        target: What the size is to be.
    """

    def off(value: int) -> float:
        return abs(size(network(**{**arguments, free: value})) - target)

    value = 1
    while off(value + 1) < off(value):
        value += 1
    return {**arguments, free: value}


@dataclass(frozen=True)
class Contender:
    """A network of a comparison.

    Attributes:
        network: Class of the network.
        arguments: Of its constructor.
        free: The one that makes up for its size; None of the one that others are matched to.
    """

    network: type[Network]
    arguments: Tree
    free: str | None

    def matched_to(
        self, other: Contender, signal: Mapping[str, int], size: Callable[[Network], float]
    ) -> dict[str, Any]:
        """Arguments with which it is as large as another contender on a signal.

        Args:
            other: The one that has no free argument.
            signal: ``in_features`` and ``out_features``, as `ends_of` gives them.
            size: What is equal.
        """
        arguments = {**self.arguments, **signal}
        if self.free is None:
            return arguments
        target = size(other.network(**{**other.arguments, **signal}))
        return matched(self.network, arguments, self.free, size, target)


def ends_of(signal: Tree) -> dict[str, int]:
    """Arguments of networks that follow from a signal's data module."""
    module = data_module_of(signal)
    return {"in_features": module.axes, "out_features": module.channels}


def distinct(rows: Sequence[Row], key: str) -> list[Any]:
    """What rows have at a key, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def column(rows: Sequence[Row], key: str, **others: Any) -> npt.NDArray[np.float64]:
    """Numbers that rows have at a key, in their order: of those rows that have some others."""
    return np.array([row[key] for row in rows if all(row[name] == other for name, other in others.items())])


@dataclass(frozen=True)
class Difference:
    """A network less another one, in dB, over signals: means over seeds of each.

    Attributes:
        mean: Over signals.
        deviation: Over signals.
        effect: Mean in units of the deviation (Cohen's d of paired differences).
        p: Of Wilcoxon's signed-rank test over signals, two-sided.
        wins: Signals on which the first one is ahead.
        signals: Number of signals.
    """

    HEAD: ClassVar[Sequence[str]] = (
        "mean, dB",
        "deviation over signals",
        "effect size d",
        "p",
        "ahead on",
    )

    mean: float
    deviation: float
    effect: float
    p: float
    wins: int
    signals: int

    def cells(self) -> list[str]:
        """The difference as cells of a table below ``HEAD``."""
        figures = [f"{self.mean:+.2f}", f"{self.deviation:.2f}", f"{self.effect:+.2f}", f"{self.p:.3f}"]
        return [*figures, f"{self.wins} of {self.signals}"]


def difference(rows: Sequence[Row], network: str, other: str) -> Difference:
    """The difference of two networks over the signals of some fits."""
    ours, theirs = (
        np.array([column(rows, "psnr", network=one, signal=s).mean() for s in distinct(rows, "signal")])
        for one in (network, other)
    )
    by_signal = ours - theirs
    mean, deviation = by_signal.mean(), by_signal.std(ddof=1)
    p = wilcoxon(by_signal).pvalue
    return Difference(mean, deviation, mean / deviation, p, int((by_signal > 0).sum()), len(by_signal))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the first of which is the head, as a table in Markdown: numbers to the right."""
    head, *others = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def paired(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> list[str]:
    """Cells of the difference of fits that are alike in all else: dB, effect size, and p of a t test."""
    less = ours - theirs
    effect = less.mean() / less.std(ddof=1)
    return [spread(less), f"{effect:+.1f}", f"{ttest_rel(ours, theirs).pvalue:.3f}"]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation of a sample."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"
