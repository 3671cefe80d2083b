"""Free memory goes back to the system."""

import ctypes
import threading

import pytest
from serve_wire import resident_bytes, wait_until

from geochat_serve import memory
from geochat_serve.memory import trimmed_memory

BLOCK, COUNT = 2**16, 2000  # bytes: below what glibc gets from the system one by one


def trimming():
    """Threads that give memory back; a server of other tests may have one."""
    return sum(thread.name == "geochat-memory" for thread in threading.enumerate())


@pytest.mark.skipif(memory._trim_function() is None, reason="needs glibc")
def test_what_was_freed_between_blocks_in_use_goes_back():
    before = trimming()
    blocks = [bytearray(b"x" * BLOCK) for _ in range(COUNT)]
    kept = blocks[::50]
    full = resident_bytes()
    blocks.clear()
    held = resident_bytes()
    assert full - held < BLOCK * COUNT / 2  # otherwise there is nothing to give back
    with trimmed_memory(0.01):
        assert trimming() == before + 1
        wait_until(lambda: held - resident_bytes() > BLOCK * COUNT / 2)
    assert len(kept) == COUNT / 50
    assert trimming() == before


def test_another_c_library_has_no_such_function(monkeypatch):
    before = trimming()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    with trimmed_memory(0.01):
        assert trimming() == before
