"""The trials of a search: what a worker does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from quinr_pl.atomic_file import make_folder
from quinr_pl.callbacks import InheritedWeights
from quinr_pl.callbacks.quantization import find_quantization, fitted_network
from quinr_pl.class_paths import class_path
from quinr_pl.experiments.fit_configs import network_of
from quinr_pl.experiments.search_config import Search
from quinr_pl.experiments.search_front import BestFront
from quinr_pl.experiments.search_goals import BestFile, Goal
from quinr_pl.experiments.search_study import count_ended, load_optuna, open_study, seed_of_trial
from quinr_pl.fitting import fit


def goal_of(settings: Search) -> Goal:
    """What a search is for.

    Raises:
        QuinrError: If an anchor's description is wrong.
    """
    return BestFile(settings) if settings.front is None else BestFront(settings, settings.front)


def trial_folder(settings: Search, number: int) -> Path:
    """The folder of a trial."""
    return Path(settings.folder) / f"trial_{number}"


def work(storage: str, settings: Search, number: int, left: Any) -> None:
    """The life of a worker: trials as long as some are left, and not ended on another machine.

    Args:
        storage: URL of the study's database.
        settings: Of the search.
        number: Of the worker, from 0.
        left: Semaphore that counts the trials that no worker of this machine has begun.
    """
    goal = goal_of(settings)
    with open_study(storage, Path(settings.folder), goal.directions, goal.pruner()) as study:
        while left.acquire(block=False) and (ended := count_ended(study)) < settings.trials:
            study.sampler = goal.sampler(seed_of_trial(settings.seed, number, ended))
            study.optimize(_objective(settings, goal), n_trials=1, catch=(Exception,))


def _objective(settings: Search, goal: Goal) -> Callable[[Any], tuple[float, ...]]:
    optuna = load_optuna()

    def objective(trial: Any) -> tuple[float, ...]:
        folder = trial_folder(settings, trial.number)
        make_folder(folder)
        values = {name: candidates.suggest(trial, name) for name, candidates in settings.space.items()}
        with open(folder / "log.txt", "wb") as log:
            for stream in (1, 2):  # loggers hold on to the streams that they found
                os.dup2(log.fileno(), stream)
        try:
            return _fit(trial, settings, goal, values, folder)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr("why", str(error) or type(error).__name__)
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    return objective


def _fit(
    trial: Any, settings: Search, goal: Goal, values: Mapping[str, Any], folder: Path
) -> tuple[float, ...]:
    tree = settings.trial(values)
    tree["trainer"]["callbacks"] += _inheritance(trial, settings, goal)
    result = fit(tree, folder, callbacks=[TrialReporter(trial, goal)])
    for name in ("psnr", "bytes", "bpp", "parameters"):
        trial.set_user_attr(name, getattr(result, name))
    trial.set_user_attr("file", result.path.name)
    return goal.values(trial, result, network_of(tree).rate_weight)


def _inheritance(trial: Any, settings: Search, goal: Goal) -> list[dict[str, Any]]:
    """The callback that begins a fit with weights of the trial's parent; none where their file is not."""
    parent = goal.parent(trial)
    if parent is None:
        return []
    path = trial_folder(settings, parent.number) / parent.user_attrs["file"]
    if not path.is_file():  # the parent was fitted on a machine with other folders
        return []
    trial.set_user_attr("parent", parent.number)
    return [{"class_path": class_path(InheritedWeights), "init_args": {"path": str(path)}}]


class TrialReporter(Callback):
    """Tells a trial how its fit does, and ends a fit that the goal gives up.

    Args:
        trial: Trial of Optuna's that is under way.
        goal: What the search is for.
    """

    def __init__(self, trial: Any, goal: Goal) -> None:
        self._trial, self._goal = trial, goal

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Notes what the fit begins with."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, InheritedWeights):
                self._trial.set_user_attr("inherited", round(callback.share, 4))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares what the fit would leave now with other trials."""
        measured = find_quantization(trainer, self).measurement
        if measured is None or trainer.state.fn != "fit":
            return
        rate_weight = fitted_network(pl_module).rate_weight
        if self._goal.falls_behind(self._trial, trainer.global_step, measured, rate_weight):
            raise load_optuna().TrialPruned
