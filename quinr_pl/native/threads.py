"""Threads of native code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch

_pool: ThreadPoolExecutor | None = None
_pool_threads = 0


def in_parallel(work: Callable[[Iterable[int]], None], items: int, most_threads: int) -> None:
    """Have the work take items 0 to ``items - 1``, on as many threads as torch uses, or fewer."""
    global _pool, _pool_threads
    threads = min(torch.get_num_threads(), items, most_threads)
    if threads <= 1:
        return work(range(items))
    if _pool is None or _pool_threads < threads - 1:
        _pool, _pool_threads = ThreadPoolExecutor(threads - 1, "quinr-cpu"), threads - 1
    deal = _Deal(items)
    others: list[Future[None]] = []
    try:
        for _ in range(threads - 1):
            others.append(_pool.submit(work, deal))
        work(deal)
    finally:
        _settle(others)
    for other in others:
        other.result()


def _settle(others: list[Future[None]]) -> None:
    """Wait for all threads, even if interrupted: what they write to is freed when the caller leaves."""
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            wait(others)
            break
        except KeyboardInterrupt as again:
            interrupt = again
    if interrupt is not None:
        raise interrupt


class _Deal:
    """Deals each item to the thread that asks first."""

    def __init__(self, items: int) -> None:
        self._items, self._lock = iter(range(items)), threading.Lock()

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                item = next(self._items, None)
            if item is None:
                return
            yield item


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    # A child has none of its parent's threads.
    os.register_at_fork(after_in_child=_forget_pool)
