"""Requests under way: their handles, which `submit` returns, and which of them were cancelled."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

from geochat.engines.protocol import Chunk, Completion, Engine, Request, complete

_REMEMBERED = 4096  # ids of cancelled requests that may still come; the oldest are forgotten first

log = logging.getLogger(__name__)

Listener = Callable[[Chunk | Exception], None]
"""Is called with each chunk of an answer, or with the error that ends it."""


class Handle:
    """An answer that is being computed, whether or not somebody waits for it. Thread-safe.

    Iterating yields the chunks from the first one on, and raises the error that ended the answer.

    Args:
        request: What is answered.
        cancel: Is called with the request's id by `cancel`; None for an engine that looks at `cancelled`.

    Attributes:
        request: What is answered.
        cancelled: Whether nobody wants the answer any more.
    """

    def __init__(self, request: Request, cancel: Callable[[str], None] | None = None) -> None:
        self.request = request
        self.cancelled = False
        self._cancel = cancel
        self._events: list[Chunk | Exception] = []
        self._listeners: list[Listener] = []
        self._changed = threading.Condition(threading.RLock())

    @property
    def done(self) -> bool:
        """Return whether the answer has ended."""
        with self._changed:
            return bool(self._events) and is_last(self._events[-1])

    def cancel(self) -> None:
        """Cancel the request; an answer that has ended is left alone."""
        self.cancelled = True
        if self._cancel is not None and not self.done:
            self._cancel(self.request.id)

    def result(self) -> Completion:
        """Wait for the whole answer.

        Raises:
            GeoChatError: The request cannot be answered.
        """
        return complete(self)

    def add_listener(self, listener: Listener) -> None:
        """Call a listener with what has been computed so far, then with each event in the engine's thread."""
        with self._changed:
            for event in self._events:
                _call(listener, event)
            self._listeners.append(listener)

    def feed(self, event: Chunk | Exception) -> None:
        """Add an event; called by the engine alone."""
        with self._changed:
            self._events.append(event)
            for listener in self._listeners:
                _call(listener, event)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Chunk]:
        place, event = 0, None
        while not isinstance(event, Chunk) or event.finish is None:
            with self._changed:
                self._changed.wait_for(lambda: len(self._events) > place)  # noqa: B023 - called at once
                event = self._events[place]
            if isinstance(event, Exception):
                raise event
            yield event
            place += 1


def is_last(event: Chunk | Exception) -> bool:
    """Return whether an event ends its answer."""
    return isinstance(event, Exception) or event.finish is not None


def submit(engine: Engine, request: Request) -> Handle:
    """Start a request without waiting for its answer.

    An engine with a `submit` method starts it there. The `stream` of any other engine is read in a thread.

    Raises:
        GeoChatError: The request cannot be answered, and the engine knows at once.
    """
    own: Callable[[Request], Handle] | None = getattr(engine, "submit", None)
    if own is not None:
        return own(request)
    handle, chunks = Handle(request, engine.cancel), engine.stream(request)

    def read() -> None:
        try:
            for chunk in chunks:
                handle.feed(chunk)
        except Exception as error:
            handle.feed(error)

    threading.Thread(target=read, name="geochat-submit", daemon=True).start()
    return handle


def _call(listener: Listener, event: Chunk | Exception) -> None:
    """Call a listener; one that fails must not end the answers of others."""
    try:
        listener(event)
    except Exception:
        log.exception("a listener to an answer failed")


class Cancellations:
    """Remembers which requests were cancelled. May be used from several threads."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request_id: str) -> None:
        """Cancel a request, whether it has begun or not."""
        with self._lock:
            self._ids[request_id] = None
            while len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)

    def discard(self, request_id: str) -> None:
        """Forget a request that has ended."""
        with self._lock:
            self._ids.pop(request_id, None)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._ids
