"""Iteration in a thread while the consumer works on earlier items."""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def in_background(items: Callable[[], Generator[T, None, None]], depth: int) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in its own thread, at most `depth` ahead.

    Errors of the iterator are raised here, after the items before them. When the consumer leaves, the iterator is
    closed in its thread, which has ended when this returns.

    Args:
        items: Returns the iterator; called in the thread.
        depth: Items that may wait to be taken.
    """
    waiting: queue.Queue[object] = queue.Queue(depth)
    left = threading.Event()
    errors: list[BaseException] = []

    def put(item: object) -> bool:
        while not left.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            with closing(items()) as made:
                for item in made:
                    if not put(item):
                        return
        except BaseException as error:  # raised again where the items are taken
            errors.append(error)
        put(_END)

    thread = threading.Thread(target=run, name="geochat-find-reading", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            yield cast(T, item)
        if errors:
            raise errors[0]
    finally:
        left.set()
        thread.join()
