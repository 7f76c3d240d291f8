"""The study of a search: Optuna's record of its trials in a database."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quinr_pl.errors import QuinrError

_HEARTBEAT_SECONDS = 30
_RETRIES = 2


def load_optuna() -> Any:
    """Optuna, without its messages.

    Raises:
        QuinrError: If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise QuinrError("quinr-pl search: Optuna is not installed; pip install 'optuna>=4.9'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Heartbeats and the constant liar are called so.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


@contextlib.contextmanager
def open_study(storage: str, folder: Path, directions: tuple[str, ...], pruner: Any) -> Iterator[Any]:
    """The study of a search; its connections to the database are closed with the block.

    Args:
        storage: URL of the database.
        folder: Of the search; its name is that of the study.
        directions: "minimize" or "maximize" for each value of a trial.
        pruner: Of Optuna's.

    Raises:
        QuinrError: If Optuna cannot use the database.
    """
    optuna = load_optuna()
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
            study_name=folder.name, storage=kept, directions=directions, load_if_exists=True, pruner=pruner
        )
    finally:
        kept.remove_session()
        kept.engine.dispose()


def seed_of_trial(seed: int, worker: int, ended: int) -> int:
    """Seed of the sampler for a trial: a continued search proposes what it would have proposed.

    Args:
        seed: Of the search.
        worker: Number of the worker.
        ended: Trials that had ended before.
    """
    digest = hashlib.sha256(f"{seed} {worker} {ended}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def has_ended(trial: Any) -> bool:
    """Whether a trial has an outcome; those whose worker died have none and are tried again."""
    return trial.state.is_finished() and (trial.state.name != "FAIL" or "why" in trial.user_attrs)


def count_ended(study: Any) -> int:
    """Trials that have an outcome."""
    return sum(map(has_ended, study.get_trials(deepcopy=False)))


def whole_trials(study: Any) -> list[Any]:
    """Trials that left a file, by number."""
    return study.get_trials(deepcopy=False, states=[load_optuna().trial.TrialState.COMPLETE])
