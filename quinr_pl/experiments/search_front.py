"""A search for the best PSNR at every number of bytes: the front of files that no other beats in both."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.callbacks.quantization import Measurement
from quinr_pl.evaluation.rate_distortion import Points, envelope
from quinr_pl.experiments import plots
from quinr_pl.experiments.comparison import Comparison, run_job
from quinr_pl.experiments.search_config import FrontSettings, Search
from quinr_pl.experiments.search_goals import Goal
from quinr_pl.experiments.search_study import load_optuna, whole_trials
from quinr_pl.experiments.sweep import Job, result_of
from quinr_pl.fitting import FitResult


class BestFront(Goal):
    """The best PSNR at every number of bytes, by NSGA-II (Deb et al. 2002).

    Args:
        settings: Of the search.
        front: How it goes on.

    Raises:
        QuinrError: If an anchor's description is wrong.
    """

    directions = ("minimize", "maximize")

    def __init__(self, settings: Search, front: FrontSettings) -> None:
        super().__init__(settings)
        self._front = front
        self._anchors = self._anchor_jobs()

    def sampler(self, seed: int) -> Any:
        """See Goal: crossover and mutation of the best of the generation before."""
        return load_optuna().samplers.NSGAIISampler(population_size=self._front.population, seed=seed)

    def pruner(self) -> Any:
        """See Goal: none, as Optuna's know one direction only; ``falls_behind`` needs none."""
        return load_optuna().pruners.NopPruner()

    def falls_behind(self, trial: Any, step: int, measured: Measurement, rate_weight: float) -> bool:
        """See Goal: if it is further below the front of that step than the median of the whole trials."""
        point = len(measured.encoded.data), measured.psnr
        course = {**trial.user_attrs.get("course", {}), str(step): point}
        trial.set_user_attr("course", course)
        courses = [other.user_attrs.get("course", {}) for other in whole_trials(trial.study)]
        others = [other[str(step)] for other in courses if str(step) in other]
        if len(others) < max(1, self.settings.startup):
            return False
        below = below_front(point, others)
        behind = below > max(0.0, median(below_front(other, others) for other in others))
        if behind:
            trial.set_user_attr("why", f"pruned after {step} steps, {below:.2f} dB below the front")
        return behind

    def values(self, trial: Any, result: FitResult, rate_weight: float) -> tuple[float, ...]:
        """See Goal: bytes and PSNR in dB."""
        return result.bytes, result.psnr

    def parent(self, trial: Any) -> Any | None:
        """See Goal: of the generation that it descends from, the trial with most settings equal."""
        study = trial.study
        generation = study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[trial.number])
        population = study.sampler.get_parent_population(study, generation) if self._front.inherit else []
        return max(
            population,
            key=lambda other: (_alike(other.params, trial.params), other.number),
            default=None,
        )

    def report(self, study: Any, console: Console) -> None:
        """See Goal: front.json, front.png, and in ``front/`` the config of each of its points."""
        folder, whole = Path(self.settings.folder), whole_trials(study)
        best = {tuple(trial.values): trial for trial in reversed(whole)}  # of equal ones the earliest
        front = [best[point] for point in envelope(best)]
        others = [trial for trial in whole if trial not in front]
        configs = folder / "front"
        shutil.rmtree(configs, ignore_errors=True)  # points that others have beaten since
        make_folder(configs)
        for trial in front:
            self.write_config(_config(configs, trial), trial.params)
        anchors = self._measured_anchors(folder / "anchors")
        found = {"front": list(map(_row, front)), "others": list(map(_row, others)), "anchors": anchors}
        write_bytes(folder / "front.json", (json.dumps(found, indent=1) + "\n").encode())
        drawn = plots.front_figure(
            [trial.values for trial in front], [trial.values for trial in others], anchors, folder.name
        )
        write_bytes(folder / "front.png", plots.png(drawn))
        console.print(f"{len(front)} of {len(whole)} whole trials are on the front", highlight=False)
        for trial in front:
            size, psnr = trial.values
            fit = f"quinr-pl fit --config {_config(configs, trial)}"
            console.print(f"  {size:.0f} bytes, {psnr:.2f} dB, trial {trial.number}: {fit}", highlight=False)

    def _anchor_jobs(self) -> list[Job]:
        if not self._front.anchors:
            return []
        return Comparison("", self.settings.full({})["data"], [{}], self._front.anchors).jobs()

    def _measured_anchors(self, folder: Path) -> dict[str, list[tuple[float, float]]]:
        """Bytes and PSNR of the anchors' files by method, by rising size; those that are there are kept."""
        points: dict[str, list[tuple[float, float]]] = {}
        for job in self._anchors:
            result = result_of(job, folder, run_job)
            points.setdefault(job.method, []).append((result["bytes"], result["psnr"]))
        return {method: sorted(found) for method, found in points.items()}


def below_front(point: tuple[float, float], others: Points) -> float:
    """How far a file (bytes, PSNR) is below the best of those that are not larger, in dB; -inf if none is."""
    return max((psnr for size, psnr in others if size <= point[0]), default=-math.inf) - point[1]


def _alike(params: Mapping[str, Any], others: Mapping[str, Any]) -> int:
    """Number of equal settings; a crossover on a logarithmic scale rounds real ones."""
    return sum(
        math.isclose(value, others[name]) if isinstance(value, float) else value == others[name]
        for name, value in params.items()
    )


def _config(folder: Path, trial: Any) -> Path:
    return folder / f"{trial.user_attrs['bytes']}_bytes.yaml"


def _row(trial: Any) -> dict[str, Any]:
    """Figures of a whole trial; it began with the share ``inherited`` of its weights from ``parent``."""
    shown = ("bytes", "bpp", "psnr", "parameters", "parent", "inherited")
    figures = {name: trial.user_attrs[name] for name in shown if name in trial.user_attrs}
    return {"trial": trial.number, **figures, "settings": trial.params}
