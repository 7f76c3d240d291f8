"""Many independent jobs, each with a folder of its own: run, skipped when done, and never lost."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.errors import QuinrError
from quinr_pl.fit_status import FitStatus

RESULT, JOB, LOG = "result.json", "job.json", "log.txt"
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Job:
    """One signal, one method, one rate point and one seed.

    Args:
        image: Name of the signal.
        method: Name of the method.
        point: Name of the rate point.
        seed: Seed of the fit.
        settings: All that a run needs to know, of JSON's types.
        cost: Estimate of its duration in any unit, for the time left.
    """

    image: str
    method: str
    point: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    cost: float = 1.0

    @property
    def names(self) -> tuple[str, str, str, str]:
        """What tells it from other jobs."""
        return self.image, self.method, self.point, f"seed_{self.seed}"

    @property
    def folder(self) -> Path:
        """Where it lives below the sweep's folder.

        Raises:
            QuinrError: If a name is none that a folder can have.
        """
        return Path(*map(folder_name, self.names))

    def __str__(self) -> str:
        return f"{self.image} {self.method} {self.point}" + (f" seed {self.seed}" if self.seed else "")


def folder_name(name: str) -> str:
    """A name as that of a folder or file in the place where it is made.

    Raises:
        QuinrError: If it cannot be one.
    """
    safe = "".join(c if c.isalnum() or c in "._-+" else "_" for c in name)
    if not safe.strip(".") or len(safe.encode()) > _LONGEST_NAME:
        raise QuinrError(
            f"name {name[:40]!r}: it names a folder; give 1 to {_LONGEST_NAME} bytes, not dots alone"
        )
    return safe


def check_folders(jobs: Sequence[Job]) -> None:
    """Refuses jobs whose folders are one, also where case and composed letters make no difference.

    Raises:
        QuinrError: If two jobs, or names of two, would share a folder.
    """
    owners: dict[Path, tuple[str, ...]] = {}
    found: set[Path] = set()
    for job in jobs:
        for depth in range(1, len(job.names) + 1):
            own, folder = job.names[:depth], Path(*job.folder.parts[:depth])
            key = Path(unicodedata.normalize("NFC", str(folder)).casefold())
            other = owners.setdefault(key, own)
            if other != own:
                raise QuinrError(
                    f"{own[-1]!r} and {other[-1]!r}: both would lie in the folder {folder}; rename one"
                )
        if key in found:
            raise QuinrError(f"{job}: is there twice; rename one image, method or point, or leave it out")
        found.add(key)


Tell = Callable[[FitStatus], None]
"""Told how far a job is."""

RunJob = Callable[[Job, Path, Tell], dict[str, Any]]
"""Runs a job in a folder and returns its figures, of JSON's types. Must be importable by name."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: in an error, or well where there is none."""

    job: Job
    error: str | None = None


class Executor(Protocol):
    """Where jobs run."""

    def execute(
        self, jobs: Sequence[Job], folder: Path, run_job: RunJob, tell: Callable[[Job, FitStatus], None]
    ) -> Iterator[Outcome]:
        """Run jobs in any order and yield each one's outcome when it ends.

        Args:
            jobs: What to do.
            folder: The sweep's folder.
            run_job: Does the work of one.
            tell: Told how far a job is while it runs, by this process.
        """


def read_result(job: Job, folder: Path) -> dict[str, Any] | None:
    """The figures of a finished job; None if it has not finished with these settings, or its file is gone."""
    try:
        written = json.loads((folder / job.folder / JOB).read_text())
        result = json.loads((folder / job.folder / RESULT).read_text())
    except (OSError, ValueError):  # not there, cut, or no text at all
        return None
    if written != _description(job) or not isinstance(result, dict) or result.get("point") != job.point:
        return None
    gone = "file" in result and not (folder / job.folder / result["file"]).is_file()
    return None if gone else result


def perform(run_job: RunJob, job: Job, folder: Path, tell: Tell) -> None:
    """Run one job: its folder holds ``job.json`` from the start and ``result.json`` at the end.

    Args:
        run_job: Does the work.
        job: What to do.
        folder: The sweep's folder.
        tell: Told how far the job is.
    """
    own = folder / job.folder
    if own.exists():
        shutil.rmtree(own)  # what a broken attempt, or one with other settings, left
    make_folder(own)
    write_bytes(own / JOB, _json(_description(job)))
    result = run_job(job, own, tell)
    result |= {"image": job.image, "method": job.method, "point": job.point, "seed": job.seed}
    write_bytes(own / RESULT, _json(result))


def result_of(job: Job, folder: Path, run_job: RunJob) -> dict[str, Any]:
    """The figures of a job, which is performed here and now unless it has finished.

    Args:
        job: What to do.
        folder: Of all jobs.
        run_job: Does the work.
    """
    if (finished := read_result(job, folder)) is not None:
        return finished
    perform(run_job, job, folder, lambda status: None)
    result = read_result(job, folder)
    assert result is not None, f"{job} left no result in {folder}"
    return result


def run_sweep(
    jobs: Sequence[Job],
    folder: Path,
    run_job: RunJob,
    executor: Executor,
    console: Console | None = None,
    settle: Callable[[Outcome], Outcome] = lambda outcome: outcome,
) -> list[Outcome]:
    """Run the jobs that have no result yet.

    A failed job is reported and the rest goes on.

    Args:
        jobs: All jobs of the sweep, of different folders.
        folder: The sweep's folder.
        run_job: Does the work of one.
        executor: Runs the jobs, here or on a cluster.
        console: Where the progress is shown.
        settle: Takes each outcome when its job ends, and gives what is reported of it.

    Returns:
        The outcomes that are errors.

    Raises:
        QuinrError: If two jobs would share a folder.
    """
    check_folders(jobs)
    pending = [job for job in jobs if read_result(job, folder) is None]
    pending.sort(key=lambda job: -job.cost)  # so that no long job is left alone at the end
    failed = []
    ended = len(jobs) - len(pending)
    done = dict.fromkeys((job.folder for job in pending), 0.0)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    times = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
    # The speed counts from the start: jobs take unlike times.
    with Progress(*columns, *times, console=console, speed_estimate_period=1e9) as progress:
        if ended:
            progress.console.print(f"{ended} of {len(jobs)} jobs have their result already")
        shown = progress.add_task(f"{ended} of {len(jobs)} jobs", total=sum(job.cost for job in pending))

        def move(job: Job, share: float) -> None:
            done[job.folder] = share * job.cost
            progress.update(shown, completed=sum(done.values()))

        def tell(job: Job, status: FitStatus) -> None:
            move(job, status.share)

        for ending in executor.execute(pending, folder, run_job, tell):
            outcome = settle(ending)
            ended += 1
            move(outcome.job, 1.0)
            progress.update(shown, description=f"{ended} of {len(jobs)} jobs")
            progress.console.print(_line(outcome, folder), highlight=False, markup=False)
            if outcome.error is not None:
                failed.append(outcome)
    return failed


def _line(outcome: Outcome, folder: Path) -> str:
    if outcome.error is not None:
        return f"FAILED {outcome.job}: {outcome.error} (see {folder / outcome.job.folder / LOG})"
    result = read_result(outcome.job, folder) or {}
    figures = f"{result.get('psnr', float('nan')):.2f} dB at {result.get('bpp', float('nan')):.4f} bpp"
    if "bytes" in result:
        figures += f", {result['bytes']:,} bytes"
    return f"{outcome.job}: {figures}, {result.get('encode_seconds', 0):.0f} s"


def _description(job: Job) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(job)))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
