"""Running requests: their handles, which `submit` returns, and cancellations."""

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
    """An answer in computation, independently of any waiting caller. Thread-safe.

    Iterating yields the chunks from the first one on, and raises the error that ended the answer.

    Args:
        request: The request.
        cancel: Is called with the request's id by `cancel`; None for an engine that looks at `cancelled`.

    Attributes:
        request: The request.
        cancelled: Whether the request was cancelled.
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
        """Cancel the request; does nothing if the answer has ended."""
        self.cancelled = True
        if self._cancel is not None and not self.done:
            self._cancel(self.request.id)

    def result(self) -> Completion:
        """Wait for the complete answer.

        Raises:
            GeoChatError: The request cannot be answered.
        """
        return complete(self)

    def add_listener(self, listener: Listener) -> None:
        """Call a listener with the events so far, then with each new event in the engine's thread."""
        with self._changed:
            for event in self._events:
                _call(listener, event)
            self._listeners.append(listener)

    def feed(self, event: Chunk | Exception) -> None:
        """Add an event; called by the engine only."""
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

    An engine with a `submit` method starts the request itself. The `stream` of any other engine is read in a thread.

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
    """Call a listener; its failure must not end other answers."""
    try:
        listener(event)
    except Exception:
        log.exception("a listener to an answer failed")


class Cancellations:
    """Set of cancelled requests. Thread-safe."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request_id: str) -> None:
        """Cancel a request, started or not."""
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
