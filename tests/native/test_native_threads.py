from __future__ import annotations

import threading
import time

import pytest
import torch

from quinr_pl.native.threads import chunks_of, in_parallel, native_threads


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


def test_what_a_thread_raises_reaches_the_caller():
    meeting = threading.Barrier(2)

    def work(deal):
        meeting.wait(10)  # both threads are at work
        if threading.current_thread() is not caller:
            raise ValueError("of the other thread")

    caller = threading.current_thread()
    with native_threads(count=2):
        for _ in range(2):  # the thread serves on after it has raised
            with pytest.raises(ValueError, match="of the other thread"):
                in_parallel(work, 2, most_threads=2)


def test_several_callers_have_threads_of_their_own():
    meeting = threading.Barrier(4)  # passes only if both callers have two threads at a time
    found = []

    def caller(own):
        def work(deal):
            meeting.wait(10)
            found.extend((own, item) for item in deal)

        in_parallel(work, 20, most_threads=2)

    with native_threads(count=2):
        callers = [threading.Thread(target=caller, args=(number,)) for number in range(2)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
    assert sorted(found) == [(own, item) for own in range(2) for item in range(20)]
