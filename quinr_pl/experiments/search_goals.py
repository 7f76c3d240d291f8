"""What a search is for: which trials come next, which are given up, and what is left in the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from rich.console import Console

from quinr_pl.atomic_file import write_bytes
from quinr_pl.callbacks.quantization import Measurement
from quinr_pl.evaluation.metrics import weighed_psnr
from quinr_pl.experiments import plots
from quinr_pl.experiments.search_config import Search
from quinr_pl.experiments.search_study import load_optuna, whole_trials
from quinr_pl.fitting import FitResult


class Goal(ABC):
    """What a search is for.

    Args:
        settings: Of the search.

    Attributes:
        directions: "minimize" or "maximize" for each value of a trial.
    """

    directions: ClassVar[tuple[str, ...]]

    def __init__(self, settings: Search) -> None:
        self.settings = settings

    @abstractmethod
    def sampler(self, seed: int) -> Any:
        """Optuna's sampler that proposes a trial's settings from the trials that have ended."""

    @abstractmethod
    def pruner(self) -> Any:
        """Optuna's pruner of the study."""

    @abstractmethod
    def falls_behind(self, trial: Any, step: int, measured: Measurement, rate_weight: float) -> bool:
        """Whether a trial is given up.

        Args:
            trial: Trial of Optuna's that is under way.
            step: Training steps that its fit has taken.
            measured: The file that it would leave now.
            rate_weight: What a bit for each pixel costs its fit.
        """

    @abstractmethod
    def values(self, trial: Any, result: FitResult, rate_weight: float) -> tuple[float, ...]:
        """What a whole trial is judged by, one number for each direction.

        Raises:
            optuna.TrialPruned: If its file is no candidate.
        """

    def parent(self, trial: Any) -> Any | None:
        """The whole trial from whose weights a trial begins; None for weights of its own."""
        return None

    @abstractmethod
    def report(self, study: Any, console: Console) -> None:
        """Writes configs, figures and pictures of what was found; there is at least one whole trial."""

    def write_config(self, path: Path, values: Mapping[str, Any]) -> None:
        """Writes the config that fits a trial's settings in full."""
        write_bytes(path, yaml.safe_dump(self.settings.full(values), sort_keys=False).encode())


class BestFile(Goal):
    """The best PSNR of a file of at most so many bytes, or the least weighed sum of error and rate."""

    directions = ("maximize",)

    def sampler(self, seed: int) -> Any:
        """See Goal: a tree-structured Parzen estimator."""
        return load_optuna().samplers.TPESampler(
            seed=seed,
            n_startup_trials=self.settings.startup,
            constant_liar=True,  # so that workers do not all try the same
        )

    def pruner(self) -> Any:
        """See Goal: gives up what is worse than the median of the others at the same step."""
        startup = self.settings.startup
        return load_optuna().pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=0)

    def falls_behind(self, trial: Any, step: int, measured: Measurement, rate_weight: float) -> bool:
        """See Goal: by the quality that the best checkpoint is chosen by."""
        trial.report(measured.weighed(rate_weight), step)
        return bool(trial.should_prune())

    def values(self, trial: Any, result: FitResult, rate_weight: float) -> tuple[float, ...]:
        """See Goal: PSNR in dB, of a squared error to which the weighed rate is added."""
        most = self.settings.bytes
        if most is not None and result.bytes > most:
            trial.set_user_attr("why", f"too large at {result.bytes} bytes")
            raise load_optuna().TrialPruned
        return (weighed_psnr(result.psnr, result.bpp, rate_weight),)

    def report(self, study: Any, console: Console) -> None:
        """See Goal: best.yaml, history.png and what each setting counts."""
        folder, done, best = Path(self.settings.folder), whole_trials(study), study.best_trial
        self.write_config(folder / "best.yaml", best.params)
        history = [(trial.number, trial.value) for trial in done]
        write_bytes(folder / "history.png", plots.png(plots.search_figure(history, folder.name)))
        figures = f"{best.user_attrs['psnr']:.2f} dB, {best.user_attrs['bytes']} bytes"
        console.print(f"best of {len(done)} whole trials: number {best.number}, {figures}", highlight=False)
        for name, value in best.params.items():
            console.print(f"  {name}: {value}", highlight=False)
        if len(done) > 1 and len(self.settings.space) > 1:
            shares = load_optuna().importance.get_param_importances(study)
            told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            console.print(f"share of the spread that each explains: {told}", highlight=False)
        console.print(f"quinr-pl fit --config {folder / 'best.yaml'}", highlight=False)
