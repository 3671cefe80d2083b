"""Memory that is free, given back to the system.

glibc's allocator keeps what was freed between blocks that are in use, apart for groups of threads. With many threads
answering that grows to a tenth of the process (docs/benchmarks), although nothing needs it.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_INTERVAL_S = 20.0


@contextmanager
def trimmed_memory(interval_s: float = _INTERVAL_S) -> Iterator[None]:
    """Give free memory back at intervals, from a thread of its own, while the context lasts; needs glibc."""
    trim = _trim_function()
    if trim is None:
        yield
        return
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval_s):
            trim(0)

    thread = threading.Thread(target=run, name="geochat-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _trim_function() -> Callable[[int], int] | None:
    """Return the C library's `malloc_trim`; None if it has none."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return None
    return trim
