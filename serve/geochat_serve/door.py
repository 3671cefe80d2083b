"""What is let in and out: an ASGI middleware around the whole application.

The application hands out no file, so the routes that would are closed; a request larger than its kind may be is refused
before it is read. Answers carry a content security policy under which the page talks to this server alone: nothing is
fetched from elsewhere, and a script that somehow got into the page could send nothing away.
"""

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLOSED = ("/file=", "/file/", "/proxy=", "/stream/", "/deep_link")
_MAX_BODY = 16 * 2**20  # of anything but an upload: a saved conversation at most
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
    "referrer-policy": "no-referrer",
}


class Door:
    """The middleware.

    Args:
        app: What stands behind it.
        max_upload: Bytes of an upload at most.
        has_room_for: Whether there is room on disk for so many bytes.
    """

    def __init__(self, app: ASGIApp, max_upload: int, has_room_for: Callable[[int], bool]) -> None:
        self._app = app
        self._max_upload = max_upload
        self._has_room_for = has_room_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on, and add the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        path = scope["path"]
        if any(part in path for part in _CLOSED):
            return PlainTextResponse("There is no such page.", 404)
        if scope["method"] != "POST":
            return None
        is_upload = path.rstrip("/").endswith("/upload")
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            return PlainTextResponse("Say how long the request is.", 411) if is_upload else None
        if int(length) > (self._max_upload + 2**16 if is_upload else _MAX_BODY):
            limit = self._max_upload if is_upload else _MAX_BODY
            return PlainTextResponse(f"That is larger than {limit // 2**20} MB.", 413)
        if is_upload and not self._has_room_for(int(length)):
            return PlainTextResponse("The server has no room for more images; try again later.", 507)
        return None
