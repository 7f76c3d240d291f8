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
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.callbacks.quantization import find_quantization
from quinr_pl.codec.rate_control import rounding_for_bytes
from quinr_pl.codec.rounding import as_options
from quinr_pl.configs.find import find_base, find_config, packaged_config, read_text, read_tree
from quinr_pl.errors import QuinrError
from quinr_pl.evaluation.metrics import weighed_psnr
from quinr_pl.experiments import plots
from quinr_pl.experiments.comparison import Tree, file_making_callbacks, merge, network_of
from quinr_pl.experiments.workers import SPAWN, end_worker, start_worker, temporary_files_in
from quinr_pl.file_lock import locked_folder
from quinr_pl.fitting import fit

_HEARTBEAT_SECONDS = 30
_POLL_SECONDS = 0.5
_RETRIES = 2


@dataclass(frozen=True)
class Range:
    """Numbers that a setting may take.

    Args:
        low: Smallest; two integers make a range of integers.
        high: Largest.
        log: Whether ratios matter rather than differences.
        step: Distance between candidates; any number when left out, any integer for integers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Any, name: str) -> float:
        """A value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log))
        return float(trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log))


@dataclass(frozen=True)
class Choices:
    """Values that a setting may take."""

    choices: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """A value for a trial."""
        return trial.suggest_categorical(name, list(self.choices))


@dataclass(frozen=True)
class Search:
    """A config of `quinr-pl search`.

    Args:
        folder: Where the study, the trials' folders and the best config lie.
        base: A config of `quinr-pl fit` to start from.
        space: Dotted path in it, such as ``model.learning_rate`` -> ``{low, high, log, step}`` or
            ``{choices}``.
        fit: Changes to the base that all trials share.
        bytes: What a file may take: the quantizer aims at it. null for networks that train against their
            rate, whose error and weighed rate are then what counts.
        trials: How many, pruned ones included.
        workers: Trials at a time, of one thread each.
        seed: Of the sampler.
        startup: Trials drawn at random before the sampler learns from them, and before one is pruned.
    """

    folder: str
    base: str
    space: Mapping[str, Range | Choices]
    fit: Tree
    bytes: int | None
    trials: int = 50
    workers: int = 2
    seed: int = 0
    startup: int = 8

    @classmethod
    def read(cls, text: str, name: str) -> Search:
        """The config of a YAML text.

        Raises:
            QuinrError: If a key is unknown or missing, or a range is none.
        """
        tree = read_tree(text, name)
        known = {field.name for field in fields(cls)}
        for key in tree.keys() - known:
            raise QuinrError(f"{name}: unknown key {key}; a search has {', '.join(sorted(known))}")
        for key in ("folder", "base", "space"):
            if not tree.get(key):
                raise QuinrError(f"{name}: key {key} is missing")
        space = {path: _candidates(tree["space"][path], f"{name}: space {path}") for path in tree["space"]}
        return cls(**{"fit": {}, "bytes": None, **tree, "space": space})

    def check(self) -> None:
        """Looks at the numbers and for the base.

        Raises:
            QuinrError: If a number is out of range, or there is no base.
        """
        for flag, value in (("trials", self.trials), ("workers", self.workers), ("bytes", self.bytes)):
            if value is not None and value < 1:
                raise QuinrError(f"--{flag} {value}: must be at least 1")
        find_config(self.base)

    def tree(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The config of a fit with values of the space, its quantizer aiming at the bytes."""
        paths = (str(packaged_config("defaults.yaml")), find_config(self.base))
        defaults, base = (read_tree(read_text(path), path) for path in paths)
        tree = merge(merge(merge(defaults, base), self.fit), _nested(values))
        tree = merge(tree, {"trainer": {"callbacks": file_making_callbacks(tree)}})
        if self.bytes is None:
            return tree
        rounding = rounding_for_bytes(self.bytes, network_of(tree).parameter_count())
        return merge(tree, {"quantization": as_options(rounding)})


def _candidates(description: Any, where: str) -> Range | Choices:
    try:
        if "choices" in description:
            (choices,) = description.values()
            candidates: Range | Choices = Choices(tuple(choices))
            valid = len(choices) > 0
        else:
            candidates = Range(**description)
            valid = candidates.low <= candidates.high and (candidates.low > 0 or not candidates.log)
    except (TypeError, ValueError) as error:
        valid, reason = False, f" ({error})"
    else:
        reason = ""
    if not valid:
        raise QuinrError(f"{where}: {description}; give {{low, high, log, step}} or {{choices}}{reason}")
    return candidates


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


class TrialReporter(Callback):
    """Tells a trial how its fit does, and ends a fit that the pruner gives up.

    Args:
        trial: Of Optuna's.
    """

    def __init__(self, trial: Any) -> None:
        self.trial = trial

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reports the quality that the best checkpoint is chosen by."""
        measurement = find_quantization(trainer, self).measurement
        if measurement is None or trainer.state.fn != "fit":
            return
        self.trial.report(measurement.quality, trainer.global_step)
        if self.trial.should_prune():
            raise _optuna().TrialPruned


def search(options: Namespace) -> int:
    """Runs a search, or goes on with one.

    Args:
        options: The command line of `quinr-pl search`.

    Returns:
        Exit status: 0, or 1 if no trial ended well.

    Raises:
        QuinrError: If the config or a flag is wrong, or Optuna is not installed.
    """
    if options.root is not None:
        os.environ["QUINR_DATA"] = options.root
    path = find_config(options.config)
    settings = Search.read(read_text(path), options.config)
    named = settings.base
    settings = replace(settings, base=find_base(named, path))
    changes = {name: getattr(options, name) for name in ("folder", "bytes", "trials", "workers", "seed")}
    settings = replace(settings, **{name: value for name, value in changes.items() if value is not None})
    settings.check()
    folder = Path(settings.folder)
    make_folder(folder)
    with contextlib.ExitStack() as stack:
        if options.storage is None:  # else other machines may work on the study
            stack.enter_context(locked_folder(folder, "--folder"))
            stack.enter_context(temporary_files_in(folder))
        return _search(settings, named, folder, options.storage)


def _search(settings: Search, named: str, folder: Path, shared: str | None) -> int:
    storage = shared or f"sqlite:///{(folder / 'study.db').resolve()}"
    study = _study(storage, settings)
    kept = asdict(settings)
    searched = json.loads(json.dumps({key: kept[key] for key in ("fit", "space", "bytes")} | {"base": named}))
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
    write_bytes(folder / "best.yaml", yaml.safe_dump(settings.tree(best.params), sort_keys=False).encode())
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


def _study(storage: str, settings: Search) -> Any:
    optuna = _optuna()
    retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES)
    try:
        kept = optuna.storages.RDBStorage(
            storage, heartbeat_interval=_HEARTBEAT_SECONDS, heartbeat_stale_trial_callback=retry
        )
    except Exception as error:  # whatever the database's driver raises
        reason = str(error).splitlines()[0]
        raise QuinrError(f"--storage {storage}: no database that Optuna can use ({reason})") from error
    return optuna.create_study(
        study_name=Path(settings.folder).name,
        storage=kept,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=settings.startup, n_warmup_steps=0),
    )


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
    study = _study(storage, settings)
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
    tree = settings.tree(values)
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
