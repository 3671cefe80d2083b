"""Threads that each compute alone.

PyTorch spreads every operation over all cores and waits for the slowest of them. Where files must be read as well,
which takes a core away now and then, batches beside each other, each on one core, wait for nobody.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def lone_workers() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """An executor with as many threads as PyTorch takes cores, and their number; what is not begun is not done after.

    A number of threads set in a thread is its own, but also what threads started later begin with; so all start here,
    and the caller's number is set again.
    """
    count = torch.get_num_threads()
    ready = threading.Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # settles it: a thread's first look takes what was set last anywhere
        ready.wait()

    pool = ThreadPoolExecutor(count, "batches", begin)
    try:
        for _ in range(count):
            pool.submit(int)  # has a thread started, since none is idle
        ready.wait()
        torch.set_num_threads(count)
        yield pool, count
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
