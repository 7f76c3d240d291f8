"""Threads of native code.

They sleep until there is work for them. Those of torch wait for the next operation on a core, which takes the
core from whoever has work: on a busy machine a fit is many times slower with two of them than with one
(docs/engines.md).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import ModuleType

import numpy as np

from quinr_pl.native.cpu_quota import cpu_quota

_threads: int | None = None
_idle: list[_Worker] = []
"""Threads without work."""


def thread_count() -> int:
    """Threads of native code, unless `native_threads` says otherwise: as many as torch has.

    Where torch is not loaded, as many as it would have: ``OMP_NUM_THREADS``, or one for each core that this
    process may use.
    """
    if _threads is not None:
        return _threads
    torch = _loaded_torch()
    if torch is not None:
        count: int = torch.get_num_threads()
        return count
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(asked) if asked.isdigit() and int(asked) else len(_cores())


def _loaded_torch() -> ModuleType | None:
    """Torch, if something has loaded it: decoding does without."""
    return sys.modules.get("torch")


def _cores() -> Collection[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


@contextmanager
def native_threads(torch_threads: int = 1, count: int | None = None) -> Iterator[None]:
    """Has native code take the threads, and torch's own operations but one.

    Args:
        torch_threads: Threads of torch in this block.
        count: Threads of native code. When left out, as many as torch has: ``OMP_NUM_THREADS``, or else one
            for each core that this process may use, but no more than its control groups have time for.
    """
    global _threads
    before = _threads
    if count is None:
        count = thread_count()
        if _threads is None and "OMP_NUM_THREADS" not in os.environ:
            count = min(count, cpu_quota())
    _threads = count
    torch = _loaded_torch()
    torch_before = 0 if torch is None else torch.get_num_threads()
    try:
        if torch is not None:
            torch.set_num_threads(torch_threads)
        yield
    finally:
        _threads = before
        if torch is not None:
            torch.set_num_threads(torch_before)


def chunks_of(size: int, least: int, most: int) -> list[tuple[int, int]]:
    """Work in chunks whose bounds depend on its size only, so that sums by chunk do not depend on threads.

    Args:
        size: Units of work.
        least: A chunk has as many units, or more, but for the last one.
        most: There are as many chunks, or fewer.

    Returns:
        First unit of each chunk, and the one past its last.
    """
    chunk = max(least, -(-size // most))
    return [(first, min(first + chunk, size)) for first in range(0, size, chunk)]


def in_parallel(work: Callable[[Deal], None], items: int, most_threads: int) -> None:
    """Have the work take items 0 to ``items - 1``, on as many threads as native code has, or fewer."""
    threads = min(thread_count(), items, most_threads)
    deal = Deal(items)
    if threads <= 1:
        return work(deal)
    others: list[_Worker] = []
    try:
        for _ in range(threads - 1):
            others.append(_idle_worker())
            others[-1].begin(work, deal)
        work(deal)
    finally:
        failures = _settle(others)
        _idle.extend(others)
    for failure in failures:
        raise failure
    return None


class _Worker(threading.Thread):
    """A thread that sleeps until there is work, with as little as can be between it and the work."""

    def __init__(self) -> None:
        super().__init__(name="quinr-cpu", daemon=True)
        self._jobs: SimpleQueue[tuple[Callable[[Deal], None], Deal]] = SimpleQueue()
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._at_work = False
        self._failure: BaseException | None = None
        self.start()

    def begin(self, work: Callable[[Deal], None], deal: Deal) -> None:
        """Hand the thread its part of some work."""
        self._at_work = True
        self._jobs.put((work, deal))

    def settled(self) -> BaseException | None:
        """Wait for the end of the work, and say what it raised."""
        while self._at_work:  # an interrupt may come between a wake and its notice: wakes are not counted
            self._wakes.get()
        failure, self._failure = self._failure, None
        return failure

    def run(self) -> None:
        """Works whenever there is work, as long as the process lives."""
        while True:
            work, deal = self._jobs.get()
            try:
                work(deal)
            except BaseException as failure:
                self._failure = failure
            del work, deal  # what the work holds need not outlive it
            self._at_work = False
            self._wakes.put(None)


def _idle_worker() -> _Worker:
    try:
        return _idle.pop()
    except IndexError:
        return _Worker()


def _settle(others: list[_Worker]) -> list[BaseException]:
    """Wait for all threads, even if interrupted: what they write to is freed when the caller leaves."""
    interrupt: KeyboardInterrupt | None = None
    failures: list[BaseException] = []
    for other in others:
        while True:
            try:
                failure = other.settled()
                break
            except KeyboardInterrupt as again:
                interrupt = again
        if failure is not None:
            failures.append(failure)
    if interrupt is not None:
        raise interrupt
    return failures


class Deal:
    """Deals each item to the thread that asks first.

    Machine code counts on by itself: threads that meet in Python between short items wait for its lock longer
    than an item takes, and one of them does all the work.

    Args:
        items: How many there are.

    Attributes:
        items: How many there are.
        next: The first that is not dealt yet, (1,).
    """

    def __init__(self, items: int) -> None:
        self.items, self.next = items, np.zeros(1, np.int64)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                item = int(self.next[0])
                self.next[0] += 1
            if item >= self.items:
                return
            yield item


if hasattr(os, "register_at_fork"):
    # A child has none of its parent's threads.
    os.register_at_fork(after_in_child=_idle.clear)
