"""`quinr-pl search`: the settings of a fit that give the best files, by Optuna."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from quinr_pl.atomic_file import make_folder
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.search_config import Search
from quinr_pl.experiments.search_goals import Goal
from quinr_pl.experiments.search_study import count_ended, has_ended, load_optuna, open_study, whole_trials
from quinr_pl.experiments.search_trials import goal_of, trial_folder, work
from quinr_pl.experiments.workers import SPAWN, end_worker, start_worker, temporary_files_in
from quinr_pl.file_lock import locked_folder

_POLL_SECONDS = 0.5


def search(settings: Search, named: str, shared: str | None) -> int:
    """Runs a search, or goes on with one.

    Args:
        settings: What to search, its base found.
        named: The base as the config names it.
        shared: URL of a database that other machines work on too; one in the folder when left out.

    Returns:
        Exit status: 0, or 1 if no trial ended well.

    Raises:
        QuinrError: If the folder or the database belongs to another search, or Optuna is not installed.
    """
    folder = Path(settings.folder)
    make_folder(folder)
    with contextlib.ExitStack() as stack:
        if shared is None:  # else other machines may work on the study
            stack.enter_context(locked_folder(folder, "--folder"))
            stack.enter_context(temporary_files_in(folder))
        return _search(settings, named, folder, shared)


def _search(settings: Search, named: str, folder: Path, shared: str | None) -> int:
    goal = goal_of(settings)
    storage = shared or f"sqlite:///{(folder / 'study.db').resolve()}"
    with open_study(storage, folder, goal.directions, goal.pruner()) as study:
        return _continued(study, goal, storage, named, shared)


def _continued(study: Any, goal: Goal, storage: str, named: str, shared: str | None) -> int:
    settings, folder = goal.settings, Path(goal.settings.folder)
    searched, before = settings.searched() | {"base": named}, study.user_attrs.get("search")
    if before is not None and before != searched:
        changed = ", ".join(key for key in searched if searched[key] != before.get(key))
        raise QuinrError(
            f"--folder {folder}: the study there searched with another {changed}; give another --folder"
        )
    study.set_user_attr("search", searched)
    if shared is None:
        _give_up_killed(study, settings)
    console = Console()
    _run_workers(study, storage, settings, console)
    found = bool(whole_trials(study))
    if found:
        goal.report(study, console)
    else:
        console.print("no trial ended well: see the log.txt of the trials", highlight=False)
    ended = count_ended(study)
    if shared is None and ended < settings.trials:  # a worker died
        console.print(f"{ended} of {settings.trials} trials ended; the same command goes on", highlight=False)
        return 1
    return 0 if found else 1


def _give_up_killed(study: Any, settings: Search) -> None:
    """Trials of a run that was killed, which nobody is at: they are tried again under new numbers."""
    optuna = load_optuna()
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        shutil.rmtree(trial_folder(settings, trial.number), ignore_errors=True)


def _run_workers(study: Any, storage: str, settings: Search, console: Console) -> None:
    already = count_ended(study)
    if already:
        console.print(f"{already} of {settings.trials} trials have ended already", highlight=False)
    missing = max(settings.trials - already, 0)
    left = SPAWN.Semaphore(missing)
    workers = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
    with Progress(*columns, TimeRemainingColumn(), console=console, speed_estimate_period=1e9) as progress:
        shown = progress.add_task("", total=missing)
        told: set[int] = {trial.number for trial in study.get_trials(deepcopy=False) if has_ended(trial)}
        try:
            for number in range(min(settings.workers, missing)):
                workers.append(start_worker(work, storage, settings, number, left))
            while any(worker.is_alive() for worker in workers):
                time.sleep(_POLL_SECONDS)
                _tell(study, told, progress, shown, already, settings)
            _tell(study, told, progress, shown, already, settings)
        except KeyboardInterrupt:
            ended = count_ended(study)
            console.print(
                f"Interrupted after {ended} of {settings.trials} trials; the same command goes on",
                highlight=False,
            )
            raise
        finally:
            for worker in workers:
                end_worker(worker)


def _tell(study: Any, told: set[int], progress: Progress, shown: Any, already: int, settings: Search) -> None:
    for trial in study.get_trials(deepcopy=False):
        if has_ended(trial) and trial.number not in told:
            told.add(trial.number)
            progress.console.print(_line(trial), highlight=False, markup=False)
    ended = count_ended(study)
    progress.update(shown, completed=ended - already, description=f"{ended} of {settings.trials} trials")


def _line(trial: Any) -> str:
    if trial.state.name == "COMPLETE":
        how = f"{trial.user_attrs['psnr']:.2f} dB, {trial.user_attrs['bytes']} bytes"
        if "parent" in trial.user_attrs:
            how += f", from trial {trial.user_attrs['parent']}: {trial.user_attrs['inherited']:.0%}"
    elif trial.state.name == "PRUNED":
        how = trial.user_attrs.get("why", f"pruned after {trial.last_step} steps")
    else:
        how = f"FAILED: {trial.user_attrs['why']}"
    values = ", ".join(
        f"{name.rsplit('.', 1)[-1]} {value:.4g}"
        if isinstance(value, float)
        else f"{name.rsplit('.', 1)[-1]} {value}"
        for name, value in trial.params.items()
    )
    return f"trial {trial.number}: {how} ({values})"
