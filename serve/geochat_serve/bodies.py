"""Size limits of request bodies, counted while they arrive.

Gradio reads a request's JSON whole. Here a body is read first, up to the limit of its route; what is larger is refused
as soon as that shows, by its stated length or by the bytes that came, and the connection is closed. Uploads are no
such bodies: `uploads` streams them to disk.
"""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geochat_serve.clients import scope_client
from geochat_serve.paths import API, route
from geochat_serve.replies import refuse

SIZE = "geochat.size"  # in a request's scope: bytes of its body
BODY = "geochat.body"  # in a request's scope: its body
_MAX_BODY = 2**20
_MAX_LARGE_BODY = 16 * 2**20  # a saved conversation; an image sent to an MCP tool
_LARGE = (f"{API}/queue/join", f"{API}/mcp")
_MAX_CLIENT = 32 * 2**20  # of one client's bodies at a time
_MAX_TOGETHER = 128 * 2**20
_READ_S = 60.0  # in which a body has to arrive


class BodyTooLargeError(Exception):
    """A body has more bytes than its route takes."""


class _CrowdedError(Exception):
    """Other bodies take the room that this one needs."""


class BodyLimits:
    """Middleware that reads a body, or refuses it.

    Args:
        app: What stands behind it; it gets the body in one piece.
        root_path: Where a proxy puts the application.
    """

    def __init__(self, app: ASGIApp, root_path: str | None = None) -> None:
        self._app = app
        self._root = root_path
        self._held: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        path, client = route(scope, self._root), scope_client(scope)
        limit = _MAX_LARGE_BODY if path.startswith(_LARGE) else _MAX_BODY
        size = 0

        def arrived(count: int) -> None:
            nonlocal size
            self._take(client, count)
            size += count

        try:
            body = await self._read(scope, receive, send, limit=limit, arrived=arrived)
            if body is not None:
                await self._app({**scope, SIZE: len(body), BODY: body}, _replay(body, receive), send)
        finally:
            if size:
                self._held[client] -= size
            if not self._held.get(client, 1):
                del self._held[client]

    def _take(self, client: str, count: int) -> None:
        """Count bytes that are held for a client.

        Raises:
            _CrowdedError: They are too many.
        """
        held = self._held.get(client, 0) + count
        if held > _MAX_CLIENT or sum(self._held.values()) + count > _MAX_TOGETHER:
            raise _CrowdedError
        self._held[client] = held

    async def _read(
        self, scope: Scope, receive: Receive, send: Send, *, limit: int, arrived: Callable[[int], None]
    ) -> bytes | None:
        """The body; None where it was refused."""
        try:
            return await read_body(scope, receive, limit, arrived)
        except _CrowdedError:
            text = "The server is reading too many large requests; try again later."
            await refuse(scope, receive, send, 503, text, headers={"retry-after": "5"})
        except BodyTooLargeError:
            await refuse(scope, receive, send, 413, f"That is larger than {limit // 2**20} MB.")
        except TimeoutError:
            await refuse(scope, receive, send, 408, "The request took too long to arrive.")
        return None


async def read_body(scope: Scope, receive: Receive, limit: int, arrived: Callable[[int], None] | None = None) -> bytes:
    """Read a request's body.

    Args:
        scope: The request.
        receive: Gives its parts.
        limit: Bytes it may have.
        arrived: Told of the bytes of each part.

    Raises:
        BodyTooLargeError: It has more, or says so; the rest is not read.
        TimeoutError: It does not arrive.
    """
    stated = Headers(scope=scope).get("content-length", "")
    if stated.isdecimal() and int(stated) > limit:
        raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_READ_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise TimeoutError
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLargeError
            if arrived is not None:
                arrived(len(part))
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read, then whatever else comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
