"""Single-threaded workers.

PyTorch spreads every operation over all cores and waits for the slowest. If files must be read as well, which occupies
a core now and then, parallel batches on one core each avoid this waiting.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def lone_workers() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Yield an executor with one thread per core PyTorch uses, and their number; pending tasks are cancelled on exit.

    The number of threads set in one thread applies to it and to threads started later; so all workers start here, and
    the caller's number is restored.
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
