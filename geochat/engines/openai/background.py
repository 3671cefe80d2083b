"""An event loop in its own thread, so that blocking callers can have many concurrent requests and cancel any."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines for other threads. `close` ends the loop and whatever runs in it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="geochat-requests", daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start a coroutine; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and wait for its result; an interrupted wait cancels it."""
        future = self.begin(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function in the loop without waiting for it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    @property
    def is_closed(self) -> bool:
        """Return whether the loop has ended."""
        return self._loop.is_closed()

    def close(self) -> None:
        """Cancel running coroutines and end the thread. Idempotent."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
