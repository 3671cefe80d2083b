"""Routes of the page beside Gradio's events: what is long, polled or cached by the browser.

A request carries the key of the tab's session in a header, which pages of other sites cannot send. The routes lie
behind all other middleware, so logins, limits and origin checks hold for them.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat.errors import GeoChatError
from geochat_serve.api.errors import status_of
from geochat_serve.middleware.http import PAGE_API, USER, route
from geochat_serve.session import Session
from geochat_serve.sessions import SessionStore
from geochat_serve.validation import clean

_MAX_DIGITS = 9
SESSION_HEADER = "x-geochat-session"

Handler = Callable[[Request, Session], Awaitable[Any]]
"""Answers a request of a session with a response, or with JSON."""

log = logging.getLogger(__name__)


class PageRoutes:
    """Middleware that answers `/page/...`.

    Args:
        app: The application behind it.
        routes: The routes, without the prefix.
        root_path: The prefix under which a proxy serves the application.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], root_path: str | None = None) -> None:
        self._app = app
        self._routes = Starlette(routes=list(routes))
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request or pass it on."""
        path = route(scope, self._root_path) if scope["type"] == "http" else ""
        if path.startswith(f"{PAGE_API}/"):
            await self._routes({**scope, "path": path[len(PAGE_API) :], "root_path": ""}, receive, send)
        else:
            await self._app(scope, receive, send)


def page_route(path: str, method: str, handler: Handler, sessions: SessionStore) -> Route:
    """Return a route whose handler gets the session of the request; its errors become JSON."""

    async def answer(request: Request) -> Response:
        try:
            session = sessions.with_key(request.headers.get(SESSION_HEADER), request.scope.get(USER))
        except GeoChatError as error:
            return _failure(403, str(error))
        try:
            answered = await handler(request, session)
        except GeoChatError as error:
            return _failure(status_of(error, 400), str(error))
        except Exception:
            log.exception("a request of the page failed")
            return _failure(500, "that failed because of an error on the server; its log has the details")
        if isinstance(answered, Response):
            return answered
        text = await asyncio.to_thread(json.dumps, answered, ensure_ascii=False)  # a layer takes seconds
        return Response(clean(text), media_type="application/json")

    return Route(path, answer, methods=[method])


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        GeoChatError: There is none.
    """
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise GeoChatError("the page sent malformed data; reload it")
    return value


def read_count(text: str) -> int:
    """Return a number of a path or a query.

    Raises:
        GeoChatError: It is none, or a larger one than anything has.
    """
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise GeoChatError(f"{text[:20]!r} is no number of the page's; reload it")
    return int(text)


def file_response(name: str, media_type: str, content: bytes) -> Response:
    """Return a file for the browser to save."""
    disposition = f"attachment; filename*=utf-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers={"content-disposition": disposition})


def _failure(status: int, text: str) -> Response:
    return JSONResponse({"error": clean(f"{text[:1].upper()}{text[1:]}.")}, status)
