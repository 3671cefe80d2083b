"""What every request passes before it reaches Gradio, outermost first.

Each step is a middleware of its own; `guards` puts them in order. The application hands out no file, so the routes that
would are closed, with those of Gradio's that nothing here uses. Answers carry a content security policy under which the
page talks to this server alone: nothing is fetched from elsewhere, and a script that somehow got into the page could
send nothing away.
"""

import secrets

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geochat_serve.bodies import BodyLimits
from geochat_serve.hosts import AllowedHosts, HostCheck, OriginCheck
from geochat_serve.limits import EventLimits, RequestLimits
from geochat_serve.login import LoginGate, Logins
from geochat_serve.metrics import CountRequests, HealthRoute, Metrics, MetricsRoute
from geochat_serve.paths import API, route
from geochat_serve.replies import refuse
from geochat_serve.settings import ServeSettings
from geochat_serve.uploads import UploadRoute
from geochat_serve.visitors import Visitors
from geochat_serve.workspace import Workspace

_FILES = ("/file=", "/file/", "/proxy=", "/stream/", "/deep_link")
_UNUSED = (
    *(f"{API}/{name}" for name in ("component_server", "custom_component", "dev", "process_recording", "profiling")),
    *(f"{API}/{name}" for name in ("run-history", "runs", "token", "undo-vibe", "upload_progress", "vibe")),
    "/monitoring",
)
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio makes functions of a component's script
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


def guards(
    settings: ServeSettings,
    page: gr.Blocks,
    *,
    workspace: Workspace,
    logins: Logins,
    hosts: AllowedHosts,
    metrics: Metrics,
) -> list[Middleware]:
    """The middleware of a server, outermost first."""
    root = settings.root_path
    name = settings.port or secrets.token_hex(4)  # cookies of one machine's servers differ in name alone
    max_upload = settings.max_upload_mb * 2**20
    steps = [
        Middleware(CountRequests, metrics=metrics),
        Middleware(AnswerHeaders),
        Middleware(HealthRoute, root_path=root),
        Middleware(HostCheck, hosts=hosts),
        Middleware(OriginCheck, hosts=hosts),
        Middleware(RequestLimits),
        Middleware(ClosedRoutes, root_path=root),
        Middleware(LoginGate, logins=logins, cookie=f"geochat-login-{name}", root_path=root),
        Middleware(UploadRoute, workspace=workspace, max_bytes=max_upload, root_path=root),
        Middleware(BodyLimits, root_path=root),
        Middleware(Visitors, cookie=f"geochat-{name}", root_path=root),
        Middleware(EventLimits, page=page, root_path=root),
    ]
    if settings.metrics:
        steps.insert(8, Middleware(MetricsRoute, metrics=metrics, root_path=root))
    return steps


class AnswerHeaders:
    """Middleware that adds the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class ClosedRoutes:
    """Middleware that answers routes of Gradio's that are not for anybody as if there were none."""

    def __init__(self, app: ASGIApp, root_path: str | None = None) -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] == "http":
            path = route(scope, self._root)
            if any(part in path for part in _FILES) or path.startswith(_UNUSED):
                await refuse(scope, receive, send, 404, "There is no such page.")
                return
        await self._app(scope, receive, send)
