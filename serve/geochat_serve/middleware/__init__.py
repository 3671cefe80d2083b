"""Middleware between the network and Gradio, outermost first.

`build_middleware` sets the order. The application serves no files, so Gradio's file routes are blocked, along with
routes that nothing here uses. Responses carry a content security policy under which the page talks to this server
alone: it loads nothing from elsewhere, and a script injected into the page could send nothing away.
"""

import secrets
from collections.abc import Sequence

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geochat_serve.metrics import Metrics
from geochat_serve.middleware.binding import SessionBinding
from geochat_serve.middleware.bodies import BodyLimits, UploadRoute
from geochat_serve.middleware.hosts import AllowedHosts, HostCheck, OriginCheck
from geochat_serve.middleware.http import API, HTTP_API, PAGE_API, refuse, route
from geochat_serve.middleware.limits import EventLimits, RequestLimits
from geochat_serve.middleware.login import Authenticator, LoginMiddleware
from geochat_serve.settings import ServeSettings
from geochat_serve.storage import UploadStorage

_FILE_ROUTES = ("/file=", "/file/", "/proxy=", "/stream/", "/deep_link")
_UNUSED_ROUTES = (
    *(f"{API}/{name}" for name in ("component_server", "custom_component", "dev", "process_recording", "profiling")),
    *(f"{API}/{name}" for name in ("run-history", "runs", "token", "undo-vibe", "upload_progress", "vibe")),
    "/monitoring",
)
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio turns a component's script into a function
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
_PRIVATE = (f"{HTTP_API}/", f"{PAGE_API}/")  # answers that no cache keeps unless they say so, as tiles do
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def build_middleware(
    settings: ServeSettings,
    page: gr.Blocks,
    *,
    storage: UploadStorage,
    authenticator: Authenticator,
    hosts: AllowedHosts,
    metrics: Metrics,
    inner: Sequence[Middleware] = (),
) -> list[Middleware]:
    """Return the middleware of a server, outermost first; `inner` comes after all that protects the server."""
    root_path = settings.root_path
    suffix = settings.port or secrets.token_hex(4)  # servers on one machine share cookies, which differ in name only
    max_upload = settings.max_upload_mb * 2**20
    stack = [
        Middleware(RequestCounter, metrics=metrics),
        Middleware(SecurityHeaders),
        Middleware(HealthRoute, root_path=root_path),
        Middleware(HostCheck, hosts=hosts),
        Middleware(OriginCheck, hosts=hosts),
        Middleware(RequestLimits),
        Middleware(BlockedRoutes, root_path=root_path),
        Middleware(LoginMiddleware, authenticator=authenticator, cookie=f"geochat-login-{suffix}", root_path=root_path),
        Middleware(UploadRoute, storage=storage, max_bytes=max_upload, root_path=root_path),
        Middleware(BodyLimits, root_path=root_path),
        Middleware(SessionBinding, cookie=f"geochat-{suffix}", root_path=root_path),
        Middleware(EventLimits, page=page, root_path=root_path),
        *inner,
    ]
    if settings.metrics:
        stack.insert(8, Middleware(MetricsRoute, metrics=metrics, root_path=root_path))  # behind the login
    return stack


class RequestCounter:
    """Middleware that counts all requests, including refused ones."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_request(scope["method"], message["status"])
            await send(message)

        await self._app(scope, receive, send_and_count)


class SecurityHeaders:
    """Middleware that adds security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if any(prefix in scope["path"] for prefix in _PRIVATE):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class HealthRoute:
    """Middleware that answers `/healthz` for any host name and without a login."""

    def __init__(self, app: ASGIApp, root_path: str | None = None) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request or pass it on."""
        if _is_get(scope, "/healthz", self._root_path):
            await PlainTextResponse("ok\n")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class MetricsRoute:
    """Middleware that answers `/metrics`."""

    def __init__(self, app: ASGIApp, metrics: Metrics, root_path: str | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request or pass it on."""
        if _is_get(scope, "/metrics", self._root_path):
            await PlainTextResponse(self._metrics.text(), media_type=_METRICS_TYPE)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class BlockedRoutes:
    """Middleware that answers 404 for routes of Gradio that nobody may use."""

    def __init__(self, app: ASGIApp, root_path: str | None = None) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] == "http":
            path = route(scope, self._root_path)
            if any(part in path for part in _FILE_ROUTES) or path.startswith(_UNUSED_ROUTES):
                await refuse(scope, receive, send, 404, "Not found.")
                return
        await self._app(scope, receive, send)


def _is_get(scope: Scope, path: str, root_path: str | None) -> bool:
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and route(scope, root_path) == path
