from __future__ import annotations

import threading
import time

import pytest
import torch

from quinr_pl.native.threads import in_parallel


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
