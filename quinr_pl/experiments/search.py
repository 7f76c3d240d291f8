"""`quinr-pl search`: the settings of a fit that give the best PSNR at a number of bytes, by Optuna."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.callbacks.quantization import find_quantization, fitted_network
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import weighed_psnr
from quinr_pl.experiments import plots
from quinr_pl.experiments.fit_configs import network_of
from quinr_pl.experiments.search_config import Search
from quinr_pl.experiments.workers import SPAWN, end_worker, start_worker, temporary_files_in
from quinr_pl.file_lock import locked_folder
from quinr_pl.fitting import fit

_HEARTBEAT_SECONDS = 30
_POLL_SECONDS = 0.5
_RETRIES = 2


class TrialReporter(Callback):
    """Tells a trial how its fit does, and ends a fit that the pruner gives up.

    Args:
        trial: Trial of Optuna's that is under way.
    """

    def __init__(self, trial: Any) -> None:
        self.trial = trial

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reports the quality that the best checkpoint is chosen by."""
        measurement = find_quantization(trainer, self).measurement
        if measurement is None or trainer.state.fn != "fit":
            return
        rate_weight = fitted_network(pl_module).rate_weight
        self.trial.report(measurement.weighed(rate_weight), trainer.global_step)
        if self.trial.should_prune():
            raise _optuna().TrialPruned


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
    storage = shared or f"sqlite:///{(folder / 'study.db').resolve()}"
    with _study(storage, settings) as study:
        return _continued(study, storage, settings, named, folder, shared)


def _continued(
    study: Any, storage: str, settings: Search, named: str, folder: Path, shared: str | None
) -> int:
    kept = asdict(settings)
    searched = json.loads(
        json.dumps({key: kept[key] for key in ("fit", "short", "space", "bytes")} | {"base": named})
    )
    before = study.user_attrs.get("search")
    if before is not None and before != searched:
        changed = ", ".join(key for key in searched if searched[key] != before.get(key))
        raise QuinrError(
            f"--folder {folder}: the study there searched with another {changed}; give another --folder"
        )
    study.set_user_attr("search", searched)
    if shared is None:
        _give_up_killed(study, folder)
    console = Console()
    _run_workers(study, storage, settings, console)
    status = _report(study, settings, folder, console)
    ended = _ended(study)
    if shared is None and ended < settings.trials:  # a worker died
        console.print(f"{ended} of {settings.trials} trials ended; the same command goes on", highlight=False)
        return 1
    return status


def _give_up_killed(study: Any, folder: Path) -> None:
    """Trials of a run that was killed, which nobody is at: they are tried again under new numbers."""
    optuna = _optuna()
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        shutil.rmtree(folder / f"trial_{trial.number}", ignore_errors=True)


def _report(study: Any, settings: Search, folder: Path, console: Console) -> int:
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if not done:
        console.print("no trial ended well: see the log.txt of the trials", highlight=False)
        return 1
    best, history = study.best_trial, [(trial.number, trial.value) for trial in done]
    write_bytes(folder / "best.yaml", yaml.safe_dump(settings.full(best.params), sort_keys=False).encode())
    write_bytes(folder / "history.png", plots.png(plots.search_figure(history, folder.name)))
    figures = f"{best.user_attrs['psnr']:.2f} dB, {best.user_attrs['bytes']} bytes"
    console.print(f"best of {len(done)} whole trials: number {best.number}, {figures}", highlight=False)
    for name, value in best.params.items():
        console.print(f"  {name}: {value}", highlight=False)
    if len(done) > 1 and len(settings.space) > 1:
        shares = _optuna().importance.get_param_importances(study)
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        console.print(f"share of the spread that each explains: {told}", highlight=False)
    console.print(f"quinr-pl fit --config {folder / 'best.yaml'}", highlight=False)
    return 0


@contextlib.contextmanager
def _study(storage: str, settings: Search) -> Iterator[Any]:
    """The study of a search; its connections to the database are closed with the block."""
    optuna = _optuna()
    retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES)
    try:
        kept = optuna.storages.RDBStorage(
            storage, heartbeat_interval=_HEARTBEAT_SECONDS, heartbeat_stale_trial_callback=retry
        )
    except Exception as error:  # whatever the database's driver raises
        reason = str(error).splitlines()[0]
        raise QuinrError(f"--storage {storage}: no database that Optuna can use ({reason})") from error
    try:
        yield optuna.create_study(
            study_name=Path(settings.folder).name,
            storage=kept,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=settings.startup, n_warmup_steps=0),
        )
    finally:
        kept.remove_session()
        kept.engine.dispose()


def _sampler(settings: Search, worker: int, ended: int) -> Any:
    """Proposes the values of a trial from those that have ended: a continued search proposes the same."""
    digest = hashlib.sha256(f"{settings.seed} {worker} {ended}".encode()).digest()
    return _optuna().samplers.TPESampler(
        seed=int.from_bytes(digest[:4], "little"),
        n_startup_trials=settings.startup,
        constant_liar=True,  # so that workers do not all try the same
    )


def _run_workers(study: Any, storage: str, settings: Search, console: Console) -> None:
    already = _ended(study)
    if already:
        console.print(f"{already} of {settings.trials} trials have ended already", highlight=False)
    missing = max(settings.trials - already, 0)
    left = SPAWN.Semaphore(missing)
    workers = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
    with Progress(*columns, TimeRemainingColumn(), console=console, speed_estimate_period=1e9) as progress:
        shown = progress.add_task("", total=missing)
        told: set[int] = {trial.number for trial in study.get_trials(deepcopy=False) if _has_ended(trial)}
        try:
            for number in range(min(settings.workers, missing)):
                workers.append(start_worker(_work, storage, settings, number, left))
            while any(worker.is_alive() for worker in workers):
                time.sleep(_POLL_SECONDS)
                _tell(study, told, progress, shown, already, settings)
            _tell(study, told, progress, shown, already, settings)
        except KeyboardInterrupt:
            console.print(
                f"Interrupted after {_ended(study)} of {settings.trials} trials; the same command goes on",
                highlight=False,
            )
            raise
        finally:
            for worker in workers:
                end_worker(worker)


def _tell(study: Any, told: set[int], progress: Progress, shown: Any, already: int, settings: Search) -> None:
    for trial in study.get_trials(deepcopy=False):
        if _has_ended(trial) and trial.number not in told:
            told.add(trial.number)
            progress.console.print(_line(trial), highlight=False, markup=False)
    ended = _ended(study)
    progress.update(shown, completed=ended - already, description=f"{ended} of {settings.trials} trials")


def _line(trial: Any) -> str:
    if trial.state.name == "COMPLETE":
        how = f"{trial.user_attrs['psnr']:.2f} dB, {trial.user_attrs['bytes']} bytes"
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


def _has_ended(trial: Any) -> bool:
    return trial.state.is_finished() and (trial.state.name != "FAIL" or "why" in trial.user_attrs)


def _ended(study: Any) -> int:
    """Trials with an outcome; those whose worker died have none and are tried again."""
    return sum(map(_has_ended, study.get_trials(deepcopy=False)))


def _work(storage: str, settings: Search, number: int, left: Any) -> None:
    """The life of a worker: trials as long as some are left, and not ended on another machine."""
    with _study(storage, settings) as study:
        while left.acquire(block=False) and (ended := _ended(study)) < settings.trials:
            study.sampler = _sampler(settings, number, ended)
            study.optimize(_objective(settings), n_trials=1, catch=(Exception,))


def _objective(settings: Search) -> Callable[[Any], float]:
    optuna = _optuna()

    def objective(trial: Any) -> float:
        folder = Path(settings.folder) / f"trial_{trial.number}"
        make_folder(folder)
        values = {name: candidates.suggest(trial, name) for name, candidates in settings.space.items()}
        with open(folder / "log.txt", "wb") as log:
            for stream in (1, 2):  # loggers hold on to the streams that they found
                os.dup2(log.fileno(), stream)
        try:
            return _fit(trial, settings, values, folder)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr("why", str(error) or type(error).__name__)
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    return objective


def _fit(trial: Any, settings: Search, values: Mapping[str, Any], folder: Path) -> float:
    tree = settings.trial(values)
    result = fit(tree, folder, callbacks=[TrialReporter(trial)])
    for name in ("psnr", "bytes", "parameters"):
        trial.set_user_attr(name, getattr(result, name))
    if settings.bytes is not None and result.bytes > settings.bytes:
        trial.set_user_attr("why", f"too large at {result.bytes} bytes")
        raise _optuna().TrialPruned
    return weighed_psnr(result.psnr, result.bpp, network_of(tree).rate_weight)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise QuinrError("quinr-pl search: Optuna is not installed; pip install 'optuna>=4.9'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Heartbeats and the constant liar are called so.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
