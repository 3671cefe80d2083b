"""Shares of the server: no client takes what others need by asking much, or by leaving answers unread.

Gradio keeps every event, and every message that nobody has fetched, in memory, and has so many places for events under
way. Counted by login where there is one, else by address.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.bodies import SIZE
from geochat_serve.clients import LOOPBACK, USER, client_name, scope_address, scope_client
from geochat_serve.paths import API, route
from geochat_serve.replies import refuse
from geochat_serve.visitors import HASH

PLACES = 256  # Gradio's for events under way, and threads
_EVENTS = 64  # under way or waiting, of one client
_EVENT_BYTES = 32 * 2**20
_REQUESTS = 256  # at a time, of one address; each page holds two
_BURST, _EVERY_S = 500.0, 0.02  # events: so many at once, then one more every so often
_UNREAD = 64  # messages to one page, before it may ask for more
_HASHES = 1000  # finished events remembered for who may still fetch them
_NO_SESSION = 'data: {"msg":"unexpected_error","message":"","session_not_found":true,"success":false}\n\n'
_STARTING = (f"{API}/queue/join", f"{API}/call/", f"{API}/run/", f"{API}/api/")


class RequestLimits:
    """Middleware that limits how many requests an address has open.

    Args:
        app: What stands behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        address = scope_address(scope)
        if self._open[address] >= _REQUESTS:
            await refuse(scope, receive, send, 429, "Too many requests at a time.", headers={"retry-after": "5"})
            return
        self._open[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


class EventLimits:
    """Middleware that limits how many events a client has under way.

    Args:
        app: What stands behind it.
        page: Gradio's application.
        root_path: Where a proxy puts it.
        clock: Gives the time in seconds.
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
        self._root = root_path
        self._clock = clock
        self._asked: dict[str, tuple[float, float]] = {}  # events of late by client, and as of when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        path = route(scope, self._root) if scope["type"] == "http" else ""
        queue: Any = self._page._queue
        if path == f"{API}/queue/data" and scope.get(HASH) not in queue.pending_messages_per_session:
            await Response(_NO_SESSION, media_type="text/event-stream")(scope, receive, send)
            return
        if path.startswith(f"{API}/call/") and scope["method"] == "GET" and _is_unknown(path.rpartition("/")[2], queue):
            await refuse(scope, receive, send, 404, "There is no such call, or its answer was fetched.")
            return
        if not path.startswith(_STARTING) or scope["method"] != "POST" or scope.get(LOOPBACK):
            await self._app(scope, receive, send)
            return
        _tidy(queue)
        events = [event for event in list(queue.event_ids_to_events.values()) if _client(event) == scope_client(scope)]
        size = scope.get(SIZE, 0) + sum(event.request.scope.get(SIZE, 0) for event in events)
        messages = queue.pending_messages_per_session.get(scope.get(HASH))
        unread = 0 if messages is None else messages.qsize()
        much = len(events) >= _EVENTS or size > _EVENT_BYTES or unread > _UNREAD
        if much or not self._in_time(scope_client(scope)):
            text = "You have asked for much that is not done yet; wait for some of it."
            await refuse(scope, receive, send, 429, text, headers={"retry-after": "5"})
            return
        await self._app(scope, receive, send)

    def _in_time(self, client: str) -> bool:
        """Whether the client asks no faster than it may; counts this time."""
        now = self._clock()
        if len(self._asked) > 10_000:
            self._asked = {name: asked for name, asked in self._asked.items() if now - asked[1] < _BURST * _EVERY_S}
        count, since = self._asked.get(client, (0.0, now))
        count = max(0.0, count - (now - since) / _EVERY_S)
        self._asked[client] = (count + 1 if count < _BURST else count, now)
        return count < _BURST


def _is_unknown(event_id: str, queue: Any) -> bool:  # noqa: ANN401 - Gradio's queue
    """Whether nothing is under way by that id and nothing waits to be fetched: Gradio finds out too late to say."""
    return event_id not in queue.event_ids_to_events and not any(
        event_id in waiting for waiting in queue.pending_event_ids_session.values()
    )


def _client(event: Any) -> str:  # noqa: ANN401 - Gradio's event
    host = event.request.client.host if event.request.client else None
    return client_name(host, event.request.scope.get(USER))


def _tidy(queue: Any) -> None:  # noqa: ANN401 - Gradio's queue
    """Forget finished events that nobody has fetched, the oldest first; Gradio forgets them only when they are."""
    if len(queue.pending_event_ids_session) <= _HASHES:
        return
    live = queue.event_ids_to_events.keys()
    done = [name for name, ids in queue.pending_event_ids_session.items() if not ids & live]
    for name in done[: len(queue.pending_event_ids_session) - _HASHES]:
        queue.pending_event_ids_session.pop(name, None)
        queue.pending_messages_per_session.pop(name, None)
