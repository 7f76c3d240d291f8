"""Where the jobs of a sweep run: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from quinr_pl.atomic_file import make_folder, write_bytes
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.sweep import LOG, RESULT, Job, Outcome, RunJob, Tell, perform
from quinr_pl.experiments.workers import ONE_THREAD, SPAWN, end_worker, start_worker
from quinr_pl.fields import require_at_least
from quinr_pl.fit_status import FitStatus

_LARGEST_RETURNED_FILE = 1 << 24
_POLL_SECONDS = 0.5
_CONNECT_SECONDS = 5.0


class LocalExecutor:
    """Processes of one thread each, that take a job after the other.

    A job that crashes, even by a signal, fails alone: another process takes the place of its own. They
    all end with the process that started them.

    Args:
        processes: Number of processes at a time.

    Raises:
        QuinrError: If there is not one.
    """

    def __init__(self, processes: int) -> None:
        require_at_least(1, {"--processes": processes})
        self.processes = processes

    def execute(
        self, jobs: Sequence[Job], folder: Path, run_job: RunJob, tell: Callable[[Job, FitStatus], None]
    ) -> Iterator[Outcome]:
        """Runs the jobs; see `Executor`."""
        waiting = list(jobs)
        workers: dict[Connection, _Worker] = {}
        try:
            while waiting or workers:
                while waiting and len(workers) < self.processes:
                    worker = _Worker(run_job, folder)
                    worker.give(waiting.pop(0))
                    workers[worker.connection] = worker
                for ready in wait(list(workers)):
                    worker = workers[ready]  # type: ignore[index]
                    message = worker.message()
                    if isinstance(message, FitStatus):
                        tell(worker.job, message)
                        continue
                    del workers[worker.connection]
                    yield message
                    if worker.process.is_alive() and waiting:
                        worker.give(waiting.pop(0))
                        workers[worker.connection] = worker
                    else:
                        worker.end()
        finally:
            for worker in workers.values():
                worker.end()


class _Worker:
    """A process and the job that it is at."""

    def __init__(self, run_job: RunJob, folder: Path) -> None:
        self.connection, other = SPAWN.Pipe()
        self.process = start_worker(_work, other, run_job, folder)
        other.close()  # so that the end of the process closes the connection
        self.job: Job

    def give(self, job: Job) -> None:
        self.job = job
        self.connection.send(job)

    def message(self) -> FitStatus | Outcome:
        """How far the job is or how it ended, once the connection is ready."""
        try:
            message: FitStatus | Outcome = self.connection.recv()
            return message
        except (EOFError, OSError):
            self.process.join()
            return Outcome(self.job, f"its process ended with status {self.process.exitcode}")

    def end(self) -> None:
        end_worker(self.process)
        self.connection.close()


def _work(connection: Connection, run_job: RunJob, folder: Path) -> None:
    """The life of a process: jobs come in, and of each its statuses and its outcome go out."""
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(Outcome(job, _perform_logged(run_job, job, folder, connection.send)))


def _perform_logged(run_job: RunJob, job: Job, folder: Path, tell: Tell) -> str | None:
    """Run a job whose prints go to its log; the error in one line if it fails."""
    error = None
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        try:
            perform(run_job, job, folder, tell)
        except QuinrError as failure:
            error = str(failure)
        except Exception as failure:
            traceback.print_exc()
            error = f"{type(failure).__name__}: {failure}".splitlines()[0]
        sys.stdout.flush()
        sys.stderr.flush()
        log.seek(0)
        own = folder / job.folder
        make_folder(own)
        write_bytes(own / LOG, log.read().encode())
    return error


class RayExecutor:
    """Tasks of a Ray cluster, one CPU each; the files that they make come back to this machine.

    A task whose worker dies is started again elsewhere. The machines need the package and the data, but
    no shared file system.

    Args:
        address: Of the cluster: "auto" for the one that this machine belongs to, "local" for a new one.
        retries: How often a task whose worker dies is started again.

    Raises:
        QuinrError: If Ray is not installed or there is no cluster.
    """

    def __init__(self, address: str = "auto", retries: int = 3) -> None:
        try:
            import ray
        except ImportError as error:
            raise QuinrError("--executor ray: Ray is not installed; pip install 'ray>=2.9'") from error
        self.ray: Any = ray
        self.retries = retries
        if not ray.is_initialized():
            try:
                _require_listener(address)
                ray.init(
                    address=address,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                    runtime_env={"env_vars": ONE_THREAD},
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
                raise QuinrError(
                    f"--address {address}: no Ray cluster there ({reason}); ray start --head"
                ) from error

    def execute(
        self, jobs: Sequence[Job], folder: Path, run_job: RunJob, tell: Callable[[Job, FitStatus], None]
    ) -> Iterator[Outcome]:
        """Runs the jobs; see `Executor`."""
        from ray.util.queue import Queue

        statuses = Queue(actor_options={"num_cpus": 0})
        task = self.ray.remote(num_cpus=1, max_retries=self.retries)(_perform_elsewhere)
        running = {task.remote(run_job, job, statuses): job for job in jobs}
        while running:
            ended, _ = self.ray.wait(list(running), timeout=_POLL_SECONDS)
            with suppress(self.ray.exceptions.RayError):  # a job does well without the queue
                for job, status in statuses.get_nowait_batch(statuses.qsize()):
                    tell(job, status)
            for reference in ended:
                job = running.pop(reference)
                try:
                    files, error = self.ray.get(reference)
                except self.ray.exceptions.RayError as failure:
                    yield Outcome(job, f"{type(failure).__name__}: {failure}".splitlines()[0])
                    continue
                _store(files, folder)
                yield Outcome(job, error)


def _require_listener(address: str) -> None:
    """Tries an address of a host and a port, which Ray would try for the better part of a minute.

    Raises:
        OSError: If nobody listens there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


def _perform_elsewhere(run_job: RunJob, job: Job, statuses: Any) -> tuple[dict[str, bytes], str | None]:
    """Run a job in a folder of its own and return its files by relative path, with an error if it failed.

    Args:
        run_job: Does the work.
        job: What to do.
        statuses: Queue of Ray's for the job with each of its statuses.
    """

    def tell(status: FitStatus) -> None:
        with suppress(Exception):  # whatever became of the queue, the work is not lost
            statuses.put_nowait((job, status))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        error = None
        try:
            perform(run_job, job, folder, tell)
        except QuinrError as failure:
            error = str(failure)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}".splitlines()[0]
            (folder / job.folder / LOG).write_text(traceback.format_exc())
        paths = [path for path in folder.rglob("*") if path.is_file()]
        small = [
            path for path in paths if path.suffix != ".ckpt" and path.stat().st_size < _LARGEST_RETURNED_FILE
        ]
        return {str(path.relative_to(folder)): path.read_bytes() for path in small}, error


def _store(files: dict[str, bytes], folder: Path) -> None:
    # The result comes last: a job whose result exists has all its files.
    for name in sorted(files, key=lambda name: Path(name).name == RESULT):
        make_folder((folder / name).parent)
        write_bytes(folder / name, files[name])
