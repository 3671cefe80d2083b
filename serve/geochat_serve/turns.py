"""Taking turns: an engine for background work, which waits before each window until it may be computed."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from geochat.engines import BatchEvent, Chunk, Completion, Engine, Request
from geochat.exports.layer import batches
from geochat.models import ModelInfo


class JobStoppedError(Exception):
    """The job was stopped; raised in its thread."""


class TurnTaking:
    """An engine that waits for a turn before each window.

    Args:
        engine: What answers.
        size: Requests about one window.
        turn: Waits for a turn, and holds it.
        stopped: Set when the job is stopped.
    """

    def __init__(
        self, engine: Engine, size: int, turn: Callable[[], AbstractContextManager[None]], stopped: threading.Event
    ) -> None:
        self._engine, self._size, self._turn, self._stopped = engine, size, turn, stopped
        self._current: tuple[str, ...] = ()

    @property
    def info(self) -> ModelInfo:
        """Facts about the model."""
        return self._engine.info

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer piece by piece; see `Engine`."""
        return self._engine.stream(request)

    def generate(self, request: Request) -> Completion:
        """Answer at once."""
        return self._engine.generate(request)

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer the requests of one window after the other.

        Raises:
            JobStoppedError: The job was stopped; a window that was being computed is not recorded.
        """
        first = 0
        for window in batches(requests, self._size):
            with self._turn():
                self._current = tuple(request.id for request in window)
                self._require_going()
                for place, event in self._engine.stream_batch(iter(window)):
                    self._require_going()
                    yield first + place, event
                self._current = ()
            first += len(window)

    def cancel(self, request_id: str) -> None:
        """End the computation of a request; see `Engine`."""
        self._engine.cancel(request_id)

    def cancel_current(self) -> None:
        """End the computation of the current window."""
        for request_id in self._current:
            self._engine.cancel(request_id)

    def _require_going(self) -> None:
        if self._stopped.is_set():
            raise JobStoppedError
