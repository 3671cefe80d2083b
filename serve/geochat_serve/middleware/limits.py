"""Resource limits per client: requests, events and connections.

Gradio keeps every event, and every message that nobody has fetched, in memory, and runs a fixed number of events at a
time. uvicorn waits without limit for the first request of a connection. Events are counted by login (without one, by
address); requests and connections are counted by address.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config

from geochat_serve.middleware.http import (
    API,
    BODY_SIZE,
    HTTP_API,
    LOOPBACK,
    SESSION_HASH,
    USER,
    client_name,
    refuse,
    route,
    scope_address,
    scope_client,
)

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

GRADIO_THREADS = 256  # events that Gradio runs at a time
MAX_REQUESTS = 256  # open requests of one address; each page holds two
MAX_FINISHED_EVENTS = 1000  # finished events kept for clients that have not fetched them yet
_MAX_EVENTS = 64  # unfinished events of one client
_MAX_EVENT_BYTES = 32 * 2**20
_BURST, _INTERVAL_S = 500.0, 0.02  # events a client may send at once, then one more per interval
_MAX_UNREAD = 64  # messages to a page that it has not read
_MAX_CONNECTIONS = 512  # of one address
_FIRST_REQUEST_S = 20.0  # time for a new connection to send a whole request head
_MAX_DESCRIPTORS = 16_384
_NO_SESSION = 'data: {"msg":"unexpected_error","message":"","session_not_found":true,"success":false}\n\n'
_EVENT_ROUTES = (f"{API}/queue/join", f"{API}/call/", f"{API}/run/", f"{API}/api/", f"{HTTP_API}/")


class RequestLimits:
    """Middleware that limits the open requests of an address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        address = scope_address(scope)
        if self._open[address] >= MAX_REQUESTS:
            await refuse(scope, receive, send, 429, "Too many open requests.", headers={"retry-after": "5"})
            return
        self._open[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


class EventLimits:
    """Middleware that limits the unfinished events of a client, and how fast it sends them.

    Args:
        app: The application behind it.
        page: Gradio's application.
        root_path: The prefix under which a proxy serves the application.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        page: gr.Blocks,
        root_path: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._page = page
        self._root_path = root_path
        self._clock = clock
        self._recent: dict[str, tuple[float, float]] = {}  # by client: events that count, and as of when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        path = route(scope, self._root_path) if scope["type"] == "http" else ""
        queue: Any = self._page._queue
        if path == f"{API}/queue/data" and scope.get(SESSION_HASH) not in queue.pending_messages_per_session:
            await Response(_NO_SESSION, media_type="text/event-stream")(scope, receive, send)
            return
        if path.startswith(f"{API}/call/") and scope["method"] == "GET" and _is_unknown(path.rpartition("/")[2], queue):
            text = "No such call: its id is wrong, or its answer was fetched already."
            await refuse(scope, receive, send, 404, text)
            return
        if not path.startswith(_EVENT_ROUTES) or scope["method"] != "POST" or scope.get(LOOPBACK):
            await self._app(scope, receive, send)
            return
        _forget_finished(queue)
        if self._exceeds(scope, queue) or not self._in_time(scope_client(scope)):
            text = "Too many unfinished requests; wait for some to finish."
            await refuse(scope, receive, send, 429, text, headers={"retry-after": "5"})
            return
        await self._app(scope, receive, send)

    def _exceeds(self, scope: Scope, queue: Any) -> bool:  # noqa: ANN401 - Gradio's queue
        """Return whether the client has too much unfinished or unread."""
        client = scope_client(scope)
        events = [event for event in list(queue.event_ids_to_events.values()) if _event_client(event) == client]
        size = scope.get(BODY_SIZE, 0) + sum(event.request.scope.get(BODY_SIZE, 0) for event in events)
        messages = queue.pending_messages_per_session.get(scope.get(SESSION_HASH))
        unread = 0 if messages is None else messages.qsize()
        return len(events) >= _MAX_EVENTS or size > _MAX_EVENT_BYTES or unread > _MAX_UNREAD

    def _in_time(self, client: str) -> bool:
        """Count an event of a client; False if it comes too soon."""
        now = self._clock()
        if len(self._recent) > 10_000:
            window_s = _BURST * _INTERVAL_S
            self._recent = {name: recent for name, recent in self._recent.items() if now - recent[1] < window_s}
        count, since = self._recent.get(client, (0.0, now))
        count = max(0.0, count - (now - since) / _INTERVAL_S)
        self._recent[client] = (count + 1 if count < _BURST else count, now)
        return count < _BURST


def limit_connections(
    config: Config, max_per_address: int = _MAX_CONNECTIONS, first_request_s: float = _FIRST_REQUEST_S
) -> None:
    """Limit the connections that a uvicorn server accepts from now on.

    Args:
        config: Configuration of the server.
        max_per_address: Connections of one address. When it opens one more, its longest idle connection is closed.
        first_request_s: Seconds after which a connection without a whole request head is closed.
    """
    _raise_descriptor_limit()
    connections = _Connections(max_per_address)
    base: Any = config.http_protocol_class

    class LimitedProtocol(base):  # type: ignore[misc]
        """uvicorn's protocol, limited in time and number."""

        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if not connections.add(self):
                transport.abort()
                return
            self._timer = self.loop.call_later(first_request_s, self._close_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.discard(self)
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def is_idle(self) -> bool:
            """Return whether no request is being answered."""
            return self.cycle is None or self.cycle.response_complete

        def _close_if_silent(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.abort()

    config.http_protocol_class = LimitedProtocol


class _Connections:
    """Open connections by remote address, oldest first."""

    def __init__(self, max_per_address: int) -> None:
        self._max = max_per_address
        self._by_address: dict[str, OrderedDict[Any, None]] = {}

    def add(self, protocol: Any) -> bool:  # noqa: ANN401 - uvicorn's protocol
        """Add a connection, closing the longest idle one of its address if there are too many.

        Returns:
            False if there are too many and none is idle.
        """
        address = protocol.client[0] if protocol.client else ""
        connections = self._by_address.setdefault(address, OrderedDict())
        if len(connections) >= self._max:
            idle = next((other for other in connections if other.is_idle()), None)
            if idle is None:
                return False
            idle.transport.abort()
            self.discard(idle)
        self._by_address.setdefault(address, OrderedDict())[protocol] = None
        return True

    def discard(self, protocol: Any) -> None:  # noqa: ANN401
        """Remove a connection. Idempotent."""
        address = protocol.client[0] if protocol.client else ""
        connections = self._by_address.get(address)
        if connections is not None:
            connections.pop(protocol, None)
            if not connections:
                del self._by_address[address]


def _is_unknown(event_id: str, queue: Any) -> bool:  # noqa: ANN401 - Gradio's queue
    """Return whether an event is neither running nor waiting to be fetched; Gradio notices only after it answered."""
    return event_id not in queue.event_ids_to_events and not any(
        event_id in waiting for waiting in queue.pending_event_ids_session.values()
    )


def _event_client(event: Any) -> str:  # noqa: ANN401 - Gradio's event
    host = event.request.client.host if event.request.client else None
    return client_name(host, event.request.scope.get(USER))


def _forget_finished(queue: Any) -> None:  # noqa: ANN401 - Gradio's queue
    """Forget the oldest finished events that nobody has fetched; Gradio keeps them until they are."""
    if len(queue.pending_event_ids_session) <= MAX_FINISHED_EVENTS:
        return
    running = queue.event_ids_to_events.keys()
    finished = [name for name, ids in queue.pending_event_ids_session.items() if not ids & running]
    for name in finished[: len(queue.pending_event_ids_session) - MAX_FINISHED_EVENTS]:
        queue.pending_event_ids_session.pop(name, None)
        queue.pending_messages_per_session.pop(name, None)


def _raise_descriptor_limit() -> None:
    """Raise the limit of open files as far as the system allows, up to `_MAX_DESCRIPTORS`."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
