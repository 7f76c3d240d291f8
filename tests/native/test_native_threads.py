from __future__ import annotations

import threading
import time

import pytest
import torch

from quinr_pl.native.threads import chunks_of, in_parallel


def test_an_interrupt_leaves_no_thread_at_work():
    main, done = threading.current_thread(), []

    def work(items):
        for item in items:
            if threading.current_thread() is main:
                raise KeyboardInterrupt
            time.sleep(0.1)
            done.append(item)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            in_parallel(work, 4, most_threads=2)
    finally:
        torch.set_num_threads(threads)
    assert len(done) == 3  # all but the one that the main thread had


@pytest.mark.parametrize(
    ("size", "least", "most"), [(1, 8, 16), (100, 8, 16), (1000, 8, 16), (7, 1, 7), (0, 4, 2)]
)
def test_chunks_cover_the_work_in_few_large_pieces(size, least, most):
    chunks = chunks_of(size, least, most)
    assert [unit for first, last in chunks for unit in range(first, last)] == list(range(size))
    assert len(chunks) <= most
    assert all(last - first >= least for first, last in chunks[:-1])
